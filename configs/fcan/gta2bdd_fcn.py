# FCAN, stage 1: on the source alone, GTA5 → BDD100K (Zhang et al., CVPR 2018, ablation table, "FCN").
# Published: none on this split (the paper has its own split, "BDDS"). Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/fcan/gta2bdd_fcn.py
_base_ = [
    '../_base_/models/fcn_psp_r101.py',
    '../_base_/datasets/gta2bdd_fcan.py',
    '../_base_/schedules/fcan_stage1.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(
    batch_size=6,
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(_delete_=True, **_base_.train_dataloader.dataset.source),
)
