# DACS, DeepLabV2, ResNet-101, SYNTHIA → Cityscapes (not in the papers' tables).
# Published: –. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/dacs/synthia2cs_deeplabv2.py
_base_ = [
    '../_base_/models/deeplabv2_r101v1c.py',
    '../_base_/methods/self_training.py',
    '../_base_/datasets/synthia2cs_512.py',
    '../_base_/schedules/self_training.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, segmentor=_base_.model, **_base_.dacs)
