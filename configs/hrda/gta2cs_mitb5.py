# DAFormer's training with HRDA, MiT-B5, GTA5 → Cityscapes (Hoyer et al., ECCV 2022).
# Published mIoU 73.8 (mean of 3 seeds; the authors' README).
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/hrda/gta2cs_mitb5.py
_base_ = [
    '../_base_/models/hrda_mitb5.py',
    '../_base_/methods/self_training.py',
    '../_base_/datasets/gta2cs_1024_rcs.py',
    '../_base_/schedules/self_training.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, segmentor=_base_.model, **dict(_base_.daformer, ignore_top=0, ignore_bottom=0))
