# MMSegmentation's MobileNetV2 with SegFormer's decoder (2.0 M parameters), for two CPU cores: of the heads
# tried, it learns fastest in a few hundred iterations.
model = dict(
    type='MultiLevelSegmentor',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],  # RGB
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,
    ),
    backbone=dict(
        type='MobileNetV2',
        out_indices=(1, 2, 4, 6),
        norm_cfg=dict(type='BN'),
        init_cfg=dict(type='Pretrained', checkpoint='weights/mobilenetv2_imagenet.pth'),
    ),
    decode_head=dict(
        type='SegformerHead',
        in_channels=[24, 32, 96, 320],
        in_index=[0, 1, 2, 3],
        channels=64,
        dropout_ratio=0.1,
        num_classes=7,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    test_cfg=dict(mode='whole', single_upsampling=True),
)
