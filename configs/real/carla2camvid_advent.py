# AdvEnt from the checkpoint of carla2camvid_fcan_fcn.py, CARLA → CamVid on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_advent.py
_base_ = './carla2camvid_fcan_ran.py'
model = dict(
    type='AdvEnt',
    discriminator=dict(_delete_=True, decode=dict(type='OutputSpaceDiscriminator', in_channels=3)),
    lambda_adv=dict(_delete_=True, decode=0.005),
)
