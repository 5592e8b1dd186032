# No adaptation, GTA5 → Cityscapes (Tsai et al., CVPR 2018, Table 1, "Baseline (ResNet)"): trained on GTA5, tested on
# Cityscapes. Training never forwards target images: even that would adapt the BN statistics.
# Published mIoU 36.6. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/source_only/gta2cs.py
_base_ = [
    '../_base_/models/deeplabv2_r101.py',
    '../_base_/datasets/gta2cs.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(_delete_=True, **_base_.train_dataloader.dataset.source),
)
optim_wrapper = dict(_delete_=True, type='OptimWrapper', **_base_.optim_wrapper.segmentor)
custom_hooks = []
