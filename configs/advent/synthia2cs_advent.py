# AdvEnt, multi-level, SYNTHIA → Cityscapes (Vu et al., CVPR 2019, Table 1).
# Published mIoU 40.8 (16 classes) and 47.6 (13 classes). Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/advent/synthia2cs_advent.py
_base_ = [
    '../_base_/models/advent_r101.py',
    '../_base_/datasets/synthia2cs.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
train_cfg = dict(max_iters=90_000)  # as the authors state for SYNTHIA
