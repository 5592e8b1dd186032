# MIC with DACS on DeepLabV2, ResNet-101, GTA5 → Cityscapes (Hoyer et al., CVPR 2023, Table 1).
# Published: –. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/mic/gta2cs_dacs_deeplabv2.py
_base_ = '../dacs/gta2cs_deeplabv2.py'
model = dict(type='MIC', mask=_base_.mask)
