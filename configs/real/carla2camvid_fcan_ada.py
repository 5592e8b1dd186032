# FCAN's ablation, image-level discriminator ("ADA"), CARLA → CamVid on the CPU. Ours: docs/results.md.
# Stage 2, from the checkpoint of carla2camvid_fcan_fcn.py.
#   python tools/train.py configs/real/carla2camvid_fcan_ada.py
_base_ = './carla2camvid_fcan_ran.py'
model = dict(
    discriminator=dict(_delete_=True, backbone=dict(type='ImageDiscriminator', in_channels=1024)),
)
