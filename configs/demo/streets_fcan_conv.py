# FCAN's ablation, region-level discriminator without ASPP ("Conv"), on the two generated domains of the demo.
# Ours: docs/results.md.
# Stage 2, from the checkpoint of streets_fcan_fcn.py.
#   python tools/train.py configs/demo/streets_fcan_conv.py
_base_ = './streets_fcan_ran.py'
model = dict(discriminator=dict(backbone=dict(dilations=(1,), channels=128)))
