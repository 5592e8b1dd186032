# AdaptSegNet, single-level, least-squares objective, SYNTHIA → Cityscapes (released after the paper).
# Published mIoU, 13 classes, 47.6. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/synthia2cs_singlelevel_lsgan.py
_base_ = './synthia2cs_singlelevel.py'
model = dict(objective='lsgan', lambda_adv=dict(decode=0.01))
