# FCAN, image-level discriminator, GTA5 → Cityscapes (Zhang et al., CVPR 2018, ablation table, "ADA").
# Published mIoU 41.29. Ours: not run (needs the data sets and a GPU).
# Stage 2, from work_dirs/gta2cs_fcn/iter_30000.pth (gta2cs_fcn.py).
#   python tools/train.py configs/fcan/gta2cs_ada.py
_base_ = './gta2cs_ran.py'
model = dict(discriminator=dict(_delete_=True, backbone=dict(type='ImageDiscriminator', in_channels=2048)))
