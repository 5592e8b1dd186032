# MIC with HRDA, DeepLabV2, ResNet-101, GTA5 → Cityscapes (Hoyer et al., CVPR 2023).
# Published: –.
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/mic/gta2cs_hrda_deeplabv2.py
_base_ = '../hrda/gta2cs_deeplabv2.py'
model = dict(type='MIC', mask=dict(_base_.mask, block=64))
