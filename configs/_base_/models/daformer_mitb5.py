# DAFormer's network (Hoyer et al., CVPR 2022): MiT-B5 and the context-aware decoder, 85.16 M parameters.
# pretrained/mit_b5.pth is SegFormer's ImageNet file (research licence). The file of a fine-tuned SegFormer is rejected.
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
    backbone=dict(type='DAFormerMixTransformer', init_cfg=dict(type='Pretrained', checkpoint='pretrained/mit_b5.pth')),
    decode_head=dict(type='DAFormerHead', num_classes=19),
    test_cfg=dict(mode='whole'),
)
