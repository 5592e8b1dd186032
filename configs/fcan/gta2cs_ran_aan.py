# FCAN: RAN on source images adapted by AAN, GTA5 → Cityscapes
# (Zhang et al., CVPR 2018, ablation table, "AAN + RAN").
# Published mIoU 46.21. Ours: not run (needs the data sets and a GPU).
# Stage 2, from work_dirs/gta2cs_fcn/iter_30000.pth (gta2cs_fcn.py).
#   python tools/render_aan.py configs/fcan/gta2cs_ran_aan.py --source data/gta/images \
#     --target data/cityscapes/leftImg8bit/train --out data/aan/gta2cs
#   python tools/train.py configs/fcan/gta2cs_ran_aan.py
_base_ = ['./gta2cs_ran.py', '../_base_/aan/gta2cs.py']
load, *others = _base_.train_dataloader.dataset.source.pipeline
renders = dict(type='AANStyleTransfer', renders='data/aan/gta2cs')
train_dataloader = dict(dataset=dict(source=dict(pipeline=[load, renders, *others])))
