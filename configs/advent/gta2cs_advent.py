# AdvEnt, multi-level, GTA5 → Cityscapes (Vu et al., CVPR 2019, Table 1).
# Published mIoU 43.8. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/advent/gta2cs_advent.py
_base_ = [
    '../_base_/models/adaptsegnet_multilevel_r101.py',
    '../_base_/datasets/gta2cs.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
rates = (6, 12, 18, 24)  # unlike AdaptSegNet's released code, all four act
model = dict(
    type='AdvEnt',
    segmentor=dict(decode_head=dict(dilations=rates), auxiliary_head=dict(dilations=rates)),
)
train_cfg = dict(max_iters=120_000)
