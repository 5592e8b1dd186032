# Semi-supervised: RAN and the labels of 100 Cityscapes images, GTA5 → Cityscapes (Zhang et al., CVPR 2018, "FCAN" with
# 100 labelled target images). Published mIoU 59.95 (with AAN; 54.41 without adaptation). Ours: not run (needs the
# data sets and a GPU).
# Stage 2, from work_dirs/gta2cs_fcn/iter_30000.pth (gta2cs_fcn.py).
#   python tools/train.py configs/fcan/gta2cs_ran_semi100.py
_base_ = './gta2cs_ran_semi50.py'
labels = 100
train_dataloader = dict(dataset=dict(labeled_target=dict(indices=[i * 2975 // labels for i in range(labels)])))
