# FCAN, stage 1 with target BN statistics, GTA5 → BDD100K (Zhang et al., CVPR 2018, ablation table, "ABN").
# Published: none on this split (the paper has its own split, "BDDS"). Ours: not run (needs the data sets and a GPU).
# Of a stage 1 that is there already:
#   python tools/adapt_bn.py configs/fcan/gta2bdd_abn.py work_dirs/gta2cs_fcn/iter_30000.pth
#   python tools/train.py configs/fcan/gta2bdd_abn.py
_base_ = './gta2bdd_fcn.py'
target = dict(
    type='BDD100KDataset',
    data_root=_base_.bdd_root,
    data_prefix=dict(img_path='images/10k/train'),
    pipeline=_base_.target_pipeline,
)
custom_hooks = [dict(type='AdaptBNHook', dataset=target, num_workers=4)]
