# AdaptSegNet, multi-level, SYNTHIA → Cityscapes (Tsai et al., CVPR 2018).
# Published mIoU, 13 classes, 46.7. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/synthia2cs_multilevel.py
_base_ = [
    '../_base_/models/adaptsegnet_multilevel_r101.py',
    '../_base_/datasets/synthia2cs.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
