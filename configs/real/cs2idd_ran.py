# FCAN's RAN in one stage, Cityscapes → IDD-Lite on the CPU. Ours: not measured yet.
#   python tools/train.py configs/real/cs2idd_ran.py
_base_ = './cs2idd_singlelevel.py'
model = dict(
    type='RAN',
    discriminator=dict(_delete_=True, backbone=dict(type='RegionDiscriminator', in_channels=320)),
    lambda_adv=dict(_delete_=True, backbone=0.002),
)
