# RAN, FCAN without AAN, GTA5 → Cityscapes (Zhang et al., CVPR 2018, ablation table, "RAN").
# Published mIoU 44.81. Ours: not run (needs the data sets and a GPU).
# Stage 2, from work_dirs/gta2cs_fcn/iter_30000.pth (gta2cs_fcn.py).
#   python tools/train.py configs/fcan/gta2cs_ran.py
_base_ = [
    '../_base_/models/ran_r101.py',
    '../_base_/datasets/gta2cs_fcan.py',
    '../_base_/schedules/fcan_stage2.py',
    '../_base_/default_runtime.py',
]
default_hooks = dict(checkpoint=dict(interval=1000, max_keep_ckpts=3))
