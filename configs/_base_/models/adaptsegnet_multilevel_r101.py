# AdaptSegNet, multi-level, on DeepLabV2-ResNet-101 (Tsai et al., CVPR 2018, Sec. 3.3).
_base_ = './adaptsegnet_singlelevel_r101.py'
model = dict(
    segmentor=dict(
        auxiliary_head=dict(
            type='DeepLabV2Head',
            in_channels=1024,
            in_index=2,
            num_classes=19,
            dilations=(6, 12),
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.1),
        )
    ),
    discriminator=dict(aux=dict(type='OutputSpaceDiscriminator', in_channels=19)),
    lambda_adv=dict(aux=0.0002),
)
