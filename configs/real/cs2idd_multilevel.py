# AdaptSegNet, multi-level, Cityscapes → IDD-Lite on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_multilevel.py
_base_ = './cs2idd_singlelevel.py'
model = dict(
    segmentor=dict(
        auxiliary_head=dict(
            type='DeepLabV2Head',
            in_channels=96,
            in_index=2,
            num_classes=7,
            dilations=(3, 6),
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.1),
        )
    ),
    discriminator=dict(aux=dict(type='OutputSpaceDiscriminator', in_channels=7)),
    lambda_adv=dict(aux=0.0004),
)
