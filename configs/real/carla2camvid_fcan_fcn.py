# FCAN's ablation, stage 1 ("FCN": source only), CARLA → CamVid on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_fcan_fcn.py
_base_ = './carla2camvid_source_only.py'
