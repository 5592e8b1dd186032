# RAN as the paper's minimax game, by gradient reversal, GTA5 → Cityscapes (Zhang et al., CVPR 2018, Eq. 5).
# Published mIoU 44.81 (which form it was is not said). Ours: not run (needs the data sets and a GPU).
# Stage 2, from work_dirs/gta2cs_fcn/iter_30000.pth (gta2cs_fcn.py).
#   python tools/train.py configs/fcan/gta2cs_ran_reversal.py
_base_ = './gta2cs_ran.py'
model = dict(reversal=True)
