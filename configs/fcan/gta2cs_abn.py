# FCAN, stage 1 with target BN statistics, GTA5 → Cityscapes (Zhang et al., CVPR 2018, ablation table, "ABN").
# Published mIoU 35.51. Ours: not run (needs the data sets and a GPU).
# If stage 1 has been trained already:
#   python tools/adapt_bn.py configs/fcan/gta2cs_abn.py work_dirs/gta2cs_fcn/iter_30000.pth
#   python tools/train.py configs/fcan/gta2cs_abn.py
_base_ = './gta2cs_fcn.py'
target = dict(
    type='CityscapesDataset',
    data_root=_base_.cityscapes_root,
    data_prefix=dict(img_path='leftImg8bit/train'),
    pipeline=_base_.target_pipeline,
)
custom_hooks = [dict(type='AdaptBNHook', dataset=target, num_workers=4)]
