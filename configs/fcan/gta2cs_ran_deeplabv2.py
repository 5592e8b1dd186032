# RAN on DeepLabV2-ResNet-101, AdaptSegNet's network, data and schedule in one stage, GTA5 → Cityscapes.
# Published: none (FeatureAdaptation, whose D is AdaptSegNet's: 39.3). Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/fcan/gta2cs_ran_deeplabv2.py
_base_ = '../adaptseg/gta2cs_singlelevel.py'
model = dict(
    type='RAN',
    discriminator=dict(_delete_=True, backbone=dict(type='RegionDiscriminator', in_channels=2048)),
    # the weight of AdaptSegNet's own feature-level baseline, in the same schedule; FCAN's 1/5 is for its stage 2
    lambda_adv=dict(_delete_=True, backbone=0.001),
)
