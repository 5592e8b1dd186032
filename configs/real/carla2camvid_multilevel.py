# AdaptSegNet, multi-level, CARLA → CamVid on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_multilevel.py
_base_ = './carla2camvid_singlelevel.py'
model = dict(
    segmentor=dict(
        auxiliary_head=dict(
            type='DeepLabV2Head',
            in_channels=512,
            in_index=2,
            num_classes=3,
            dilations=(6, 12),
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.1),
        )
    ),
    discriminator=dict(aux=dict(type='OutputSpaceDiscriminator', in_channels=3)),
    lambda_adv=dict(aux=0.001),
)
