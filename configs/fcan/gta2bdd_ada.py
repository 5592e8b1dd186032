# FCAN, image-level discriminator, GTA5 → BDD100K (Zhang et al., CVPR 2018, ablation table, "ADA").
# Published: none on this split (the paper has its own split, "BDDS"). Ours: not run (needs the data sets and a GPU).
# Stage 2, from work_dirs/gta2cs_fcn/iter_30000.pth (gta2cs_fcn.py).
#   python tools/train.py configs/fcan/gta2bdd_ada.py
_base_ = './gta2bdd_ran.py'
model = dict(discriminator=dict(_delete_=True, backbone=dict(type='ImageDiscriminator', in_channels=2048)))
