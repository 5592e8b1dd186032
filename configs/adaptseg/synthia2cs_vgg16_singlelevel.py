# AdaptSegNet, single-level, VGG-16, SYNTHIA → Cityscapes (Tsai et al., CVPR 2018).
# Published mIoU, 13 classes, 37.6. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/synthia2cs_vgg16_singlelevel.py
_base_ = [
    '../_base_/models/adaptsegnet_singlelevel_vgg16.py',
    '../_base_/datasets/synthia2cs.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
# one learning rate for the whole network, each parameter updated once
optim_wrapper = dict(segmentor=dict(optimizer=dict(type='SGD'), paramwise_cfg=None))
