# AdaptSegNet, single-level, CARLA → Cityscapes on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2cs_singlelevel.py
_base_ = [
    '../_base_/models/segformerhead_mobilenetv2.py',
    '../_base_/datasets/carla2cs.py',
    '../_base_/schedules/cs2idd.py',
    '../_base_/default_runtime.py',
]
model = dict(
    _delete_=True,
    type='AdaptSegNet',
    segmentor=dict(_base_.model, decode_head=dict(_base_.model.decode_head, num_classes=3)),
    discriminator=dict(decode=dict(type='OutputSpaceDiscriminator', in_channels=3)),
    lambda_adv=dict(decode=0.002),
)
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=75, max_keep_ckpts=2),
    fast=dict(type='FastSegmentorHook', channels_last=True),
    label_free=dict(type='LabelFreeHook', images=50, target='data/cityscapes_small/images/train'),
)
