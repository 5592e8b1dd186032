# FCAN's ablation, stage 1 ("FCN": source only), on the two generated domains of the demo. Ours: docs/results.md.
#   python tools/train.py configs/demo/streets_fcan_fcn.py
_base_ = './streets_source_only.py'
