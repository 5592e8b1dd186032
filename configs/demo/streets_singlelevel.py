# AdaptSegNet, single-level, on the two generated domains of the demo.
#   make demo, or: python tools/train.py configs/demo/streets_singlelevel.py
_base_ = [
    '../_base_/models/deeplabv2_small.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/demo.py',
    '../_base_/default_runtime.py',
]
model = dict(
    _delete_=True,
    type='AdaptSegNet',
    segmentor=_base_.model,
    discriminator=dict(decode=dict(type='OutputSpaceDiscriminator', in_channels=8, base_channels=16)),
    lambda_adv=dict(decode=0.03),
)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=500))
