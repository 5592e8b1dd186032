# AdaptSegNet, single-level, CARLA → CamVid on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_singlelevel.py
_base_ = [
    '../_base_/models/deeplabv2_thin_r50.py',
    '../_base_/datasets/carla2camvid.py',
    '../_base_/schedules/carla2camvid.py',
    '../_base_/default_runtime.py',
]
model = dict(
    _delete_=True,
    type='AdaptSegNet',
    segmentor=_base_.model,
    discriminator=dict(decode=dict(type='OutputSpaceDiscriminator', in_channels=3)),
    lambda_adv=dict(decode=0.005),
)
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=50, max_keep_ckpts=2),
    label_free=dict(type='LabelFreeHook', images=50, target='data/camvid/train/images'),
)
