# AdaptSegNet, single-level, least-squares objective, GTA5 → Cityscapes (released after the paper).
# Published mIoU 44.1. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/gta2cs_singlelevel_lsgan.py
_base_ = './gta2cs_singlelevel.py'
model = dict(objective='lsgan', lambda_adv=dict(decode=0.01))
