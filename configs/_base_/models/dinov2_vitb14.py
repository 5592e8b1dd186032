# DINOv2's ViT-B/14 and a light decoder from MMSegmentation's parts: LayerNorm, two 3×3 convolutions that each
# double the size, a classifier at stride 3.5; 88.9 M parameters. The weights are Meta's file (Apache-2.0):
# docs/backbones.md.
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
        type='FoundationViT',
        model_name='vit_base_patch14_dinov2',
        init_cfg=dict(type='Pretrained', checkpoint='pretrained/dinov2_vitb14_pretrain.pth'),
    ),
    decode_head=dict(
        type='SETRUPHead',
        in_channels=768,
        channels=256,
        num_convs=2,
        up_scale=2,
        kernel_size=3,
        num_classes=19,
        dropout_ratio=0.1,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss'),  # the mean over all pixels, as in DACS's other configs
    ),
    test_cfg=dict(mode='slide', crop_size=(504, 504), stride=(252, 252)),
)
