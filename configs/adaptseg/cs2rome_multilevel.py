# AdaptSegNet, multi-level, Cityscapes → Cross-City Rome, 13 classes (Tsai et al., CVPR 2018).
# Published mIoU 53.8 (no adaptation 50.9). Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/cs2rome_multilevel.py
_base_ = [
    '../_base_/models/adaptsegnet_multilevel_r101.py',
    '../_base_/datasets/cs2crosscity.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
model = dict(
    segmentor=dict(decode_head=dict(num_classes=13), auxiliary_head=dict(num_classes=13)),
    discriminator=dict(decode=dict(in_channels=13), aux=dict(in_channels=13)),
    lambda_adv=dict(decode=0.0005, aux=0.0005),
)
