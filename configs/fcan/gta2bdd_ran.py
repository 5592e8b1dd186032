# RAN, FCAN without AAN, GTA5 → BDD100K (Zhang et al., CVPR 2018, ablation table, "RAN").
# Published: none on this split (the paper has its own split, "BDDS"). Ours: not run (needs the data sets and a GPU).
# Stage 2, from work_dirs/gta2cs_fcn/iter_30000.pth (gta2cs_fcn.py).
#   python tools/train.py configs/fcan/gta2bdd_ran.py
_base_ = [
    '../_base_/models/ran_r101.py',
    '../_base_/datasets/gta2bdd_fcan.py',
    '../_base_/schedules/fcan_stage2.py',
    '../_base_/default_runtime.py',
]
default_hooks = dict(checkpoint=dict(interval=1000, max_keep_ckpts=3))
