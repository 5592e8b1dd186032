# MIC with HRDA, MiT-B5, GTA5 → Cityscapes (Hoyer et al., CVPR 2023).
# Published mIoU 75.9 (the paper's abstract).
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/mic/gta2cs_hrda_mitb5.py
_base_ = '../hrda/gta2cs_mitb5.py'
model = dict(type='MIC', mask=dict(_base_.mask, block=64))
