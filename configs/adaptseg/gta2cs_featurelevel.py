# Feature-level baseline, GTA5 → Cityscapes (Tsai et al., CVPR 2018, Table 1, "Ours (feature)"): D sees conv5.
# Published mIoU 39.3. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/gta2cs_featurelevel.py
_base_ = './gta2cs_singlelevel.py'
model = dict(
    type='FeatureAdaptation',
    discriminator=dict(_delete_=True, backbone=dict(type='OutputSpaceDiscriminator', in_channels=2048)),
    lambda_adv=dict(_delete_=True, backbone=0.001),
)
