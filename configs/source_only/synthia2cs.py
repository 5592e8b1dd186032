# No adaptation, SYNTHIA → Cityscapes (Tsai et al., CVPR 2018, "Baseline (ResNet)"): training never forwards
# target images.
# Published mIoU, 13 classes, 38.6. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/source_only/synthia2cs.py
_base_ = [
    '../_base_/models/deeplabv2_r101.py',
    '../_base_/datasets/synthia2cs.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(_delete_=True, **_base_.train_dataloader.dataset.source),
)
optim_wrapper = dict(_delete_=True, type='OptimWrapper', **_base_.optim_wrapper.segmentor)
custom_hooks = []
