# DAFormer's training on DeepLabV2, ResNet-101, GTA5 → Cityscapes (Hoyer et al., CVPR 2022, Table 5).
# Published: –.
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/daformer/gta2cs_deeplabv2.py
_base_ = [
    '../_base_/models/deeplabv2_r101v1c.py',
    '../_base_/methods/self_training.py',
    '../_base_/datasets/gta2cs_512_rcs.py',
    '../_base_/schedules/self_training.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, segmentor=_base_.model, **_base_.daformer)
