# FCAN, region-level discriminator without ASPP, GTA5 → Cityscapes (Zhang et al., CVPR 2018, ablation table, "Conv").
# Published mIoU 43.17. Ours: not run (needs the data sets and a GPU).
# Stage 2, from work_dirs/gta2cs_fcn/iter_30000.pth (gta2cs_fcn.py).
#   python tools/train.py configs/fcan/gta2cs_conv.py
_base_ = './gta2cs_ran.py'
model = dict(discriminator=dict(backbone=dict(dilations=(1,), channels=512)))
