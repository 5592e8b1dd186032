# AdaptSegNet, multi-level, GTA5 → Cityscapes, from torchvision's ImageNet weights: RGB over ImageNet's standard
# deviation, and the stride in a bottleneck's 3×3 convolution.
# Published: none with these weights. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/gta2cs_multilevel_torchvision.py
_base_ = './gta2cs_multilevel.py'
model = dict(
    segmentor=dict(
        data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
        backbone=dict(style='pytorch', init_cfg=dict(checkpoint='torchvision://resnet101')),
    )
)
