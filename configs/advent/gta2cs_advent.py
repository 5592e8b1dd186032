# AdvEnt, multi-level, GTA5 → Cityscapes (Vu et al., CVPR 2019, Table 1).
# Published mIoU 43.8. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/advent/gta2cs_advent.py
_base_ = [
    '../_base_/models/advent_r101.py',
    '../_base_/datasets/gta2cs.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
train_cfg = dict(max_iters=120_000)
