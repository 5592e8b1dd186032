# DeepLabV2 as DAFormer's and MIC's releases build it: ResNet-101 with a deep stem and learned BN, two dilated
# convolutions without dropout, 43.22 M parameters. It is not AdaptSegNet's network (deeplabv2_r101.py).
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
        type='ResNetV1c',
        depth=101,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        contract_dilation=True,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnet101_v1c'),
    ),
    decode_head=dict(
        type='DeepLabV2Head',
        in_channels=2048,
        in_index=3,
        num_classes=19,
        dilations=(6, 12),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss'),  # the mean over all pixels, including ignored ones
    ),
    test_cfg=dict(mode='whole'),
)
