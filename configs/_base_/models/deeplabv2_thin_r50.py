# A thin DeepLabV2-ResNet-50 (5.9 M parameters, half the usual widths) that trains on two CPU cores.
# The stem keeps its pre-trained weights: they are tiny (they see pixels of 0–255), and one step at this learning rate
# is 3.7 times their norm, 13 times in BN's evaluation mode. BN keeps its pre-trained statistics, so any gain on the
# target comes from the adversary (in the paper, BN statistics also include the target).
model = dict(
    type='MultiLevelSegmentor',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[104.00698793, 116.66876762, 122.67891434],  # BGR
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,
    ),
    backbone=dict(
        type='DeepLabV2ResNet',
        depth=50,
        stem_channels=64,
        base_channels=32,
        frozen_stages=0,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='weights/thin_resnet50_caffe.pth'),
    ),
    decode_head=dict(
        type='DeepLabV2Head',
        in_channels=1024,
        in_index=3,
        num_classes=3,
        dilations=(6, 12),
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    test_cfg=dict(mode='whole', single_upsampling=True),
)
