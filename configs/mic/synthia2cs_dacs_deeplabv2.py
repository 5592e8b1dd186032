# MIC with DACS on DeepLabV2, ResNet-101, SYNTHIA → Cityscapes (not in the papers' tables).
# Published: –. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/mic/synthia2cs_dacs_deeplabv2.py
_base_ = '../dacs/synthia2cs_deeplabv2.py'
model = dict(type='MIC', mask=_base_.mask)
