# FCAN's RAN on the two generated domains of the demo, in one stage.
#   python tools/train.py configs/demo/streets_ran.py
_base_ = './streets_singlelevel.py'
model = dict(
    type='RAN',
    discriminator=dict(_delete_=True, backbone=dict(type='RegionDiscriminator', in_channels=128, channels=32)),
    lambda_adv=dict(_delete_=True, backbone=0.02),
)
