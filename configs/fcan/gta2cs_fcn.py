# FCAN, stage 1: on the source only, GTA5 → Cityscapes (Zhang et al., CVPR 2018, ablation table, "FCN").
# Published mIoU 29.15. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/fcan/gta2cs_fcn.py
_base_ = [
    '../_base_/models/fcn_psp_r101.py',
    '../_base_/datasets/gta2cs_fcan.py',
    '../_base_/schedules/fcan_stage1.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(
    batch_size=6,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(_delete_=True, **_base_.train_dataloader.dataset.source),
)
