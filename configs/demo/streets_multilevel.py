# AdaptSegNet, multi-level, on the two generated domains of the demo.
#   make demo, or: python tools/train.py configs/demo/streets_multilevel.py
_base_ = './streets_singlelevel.py'
model = dict(
    segmentor=dict(
        auxiliary_head=dict(
            type='DeepLabV2Head',
            in_channels=64,
            in_index=2,
            num_classes=8,
            dilations=(6, 12),
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.1),
        )
    ),
    discriminator=dict(aux=dict(type='OutputSpaceDiscriminator', in_channels=8, base_channels=16)),
    lambda_adv=dict(aux=0.006),
)
