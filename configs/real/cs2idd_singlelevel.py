# AdaptSegNet, single-level, Cityscapes → IDD-Lite on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_singlelevel.py
_base_ = [
    '../_base_/models/segformerhead_mobilenetv2.py',
    '../_base_/datasets/cs2idd.py',
    '../_base_/schedules/cs2idd.py',
    '../_base_/default_runtime.py',
]
model = dict(
    _delete_=True,
    type='AdaptSegNet',
    segmentor=_base_.model,
    discriminator=dict(decode=dict(type='OutputSpaceDiscriminator', in_channels=7)),
    lambda_adv=dict(decode=0.002),
)
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=75, max_keep_ckpts=2),
    fast=dict(type='FastSegmentorHook', channels_last=True),
    label_free=dict(type='LabelFreeHook', images=50, target='data/idd_lite/images/train'),
)
