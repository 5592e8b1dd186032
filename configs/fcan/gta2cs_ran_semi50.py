# Semi-supervised: RAN and the labels of 50 Cityscapes images, GTA5 → Cityscapes (Zhang et al., CVPR 2018, "FCAN" with
# 50 labelled target images). Published mIoU 56.50 (with AAN; 47.57 without adaptation). Ours: not run (needs the
# data sets and a GPU).
# Stage 2, from work_dirs/gta2cs_fcn/iter_30000.pth (gta2cs_fcn.py).
#   python tools/train.py configs/fcan/gta2cs_ran_semi50.py
_base_ = './gta2cs_ran.py'
labels = 50
load, resize, _ = _base_.target_pipeline
# the paper does not say which: every k-th of the 2,975 images, sorted by name, so that all cities occur
labeled_target = dict(
    type='CityscapesLabelsDataset',
    data_root=_base_.cityscapes_root,
    data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
    indices=[i * 2975 // labels for i in range(labels)],
    pipeline=[load, dict(type='LoadLabels'), resize, *_base_.crop],
)
train_dataloader = dict(dataset=dict(labeled_target=labeled_target))
model = dict(lambda_target=1.0)
