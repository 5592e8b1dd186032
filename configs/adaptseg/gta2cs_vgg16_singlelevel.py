# AdaptSegNet, single-level, VGG-16, GTA5 → Cityscapes (Tsai et al., CVPR 2018, Table 1, "Ours (single-level)", VGG).
# Published mIoU 35.0. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/gta2cs_vgg16_singlelevel.py
_base_ = [
    '../_base_/models/adaptsegnet_singlelevel_vgg16.py',
    '../_base_/datasets/gta2cs.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
# one learning rate for the whole network, each parameter updated once
optim_wrapper = dict(segmentor=dict(optimizer=dict(type='SGD'), paramwise_cfg=None))
