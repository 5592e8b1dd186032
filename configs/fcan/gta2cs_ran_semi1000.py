# Semi-supervised: RAN and the labels of 1000 Cityscapes images, GTA5 → Cityscapes (Zhang et al., CVPR 2018, "FCAN" with
# 1000 labelled target images). Published mIoU 69.17 (with AAN; 68.05 without adaptation). Ours: not run (needs the
# data sets and a GPU).
# Stage 2, from work_dirs/gta2cs_fcn/iter_30000.pth (gta2cs_fcn.py).
#   python tools/train.py configs/fcan/gta2cs_ran_semi1000.py
_base_ = './gta2cs_ran_semi50.py'
labels = 1000
train_dataloader = dict(dataset=dict(labeled_target=dict(indices=[i * 2975 // labels for i in range(labels)])))
