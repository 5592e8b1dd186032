# DAFormer's training with HRDA, MiT-B5, Cityscapes → ACDC (Hoyer et al., extension, arXiv 2304.13615).
# Published mIoU 68.0 (test server; the authors' README).
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/hrda/cs2acdc_mitb5.py
_base_ = [
    '../_base_/models/hrda_mitb5.py',
    '../_base_/methods/self_training.py',
    '../_base_/datasets/cs2acdc_1024.py',
    '../_base_/schedules/self_training.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, segmentor=_base_.model, **dict(_base_.daformer, ignore_top=0, ignore_bottom=0))
