# FCAN's ablation, region-level discriminator without ASPP ("Conv"), CARLA → CamVid on the CPU. Ours: docs/results.md.
# Stage 2, from the checkpoint of carla2camvid_fcan_fcn.py.
#   python tools/train.py configs/real/carla2camvid_fcan_conv.py
_base_ = './carla2camvid_fcan_ran.py'
model = dict(discriminator=dict(backbone=dict(dilations=(1,), channels=512)))
