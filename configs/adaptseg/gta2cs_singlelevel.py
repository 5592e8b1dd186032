# AdaptSegNet, single-level, GTA5 → Cityscapes (Tsai et al., CVPR 2018, Table 1, "Ours (single-level)").
# Published mIoU 41.4. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/gta2cs_singlelevel.py
_base_ = [
    '../_base_/models/adaptsegnet_singlelevel_r101.py',
    '../_base_/datasets/gta2cs.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
