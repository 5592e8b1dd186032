# MIC with HRDA, MiT-B5, SYNTHIA → Cityscapes (Hoyer et al., CVPR 2023).
# Published: –.
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/mic/synthia2cs_hrda_mitb5.py
_base_ = '../hrda/synthia2cs_mitb5.py'
model = dict(type='MIC', mask=dict(_base_.mask, block=64))
