# AdaptSegNet, single-level, Cityscapes → IDD-Lite on the CPU. Ours: not measured yet.
#   python tools/train.py configs/real/cs2idd_singlelevel.py
_base_ = [
    '../_base_/models/deeplabv2_mobilenetv2.py',
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
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=100, max_keep_ckpts=2))
