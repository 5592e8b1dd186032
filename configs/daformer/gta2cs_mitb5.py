# DAFormer, MiT-B5, GTA5 → Cityscapes (Hoyer et al., CVPR 2022, Table 6).
# Published mIoU 68.3 (mean of 3 seeds; the authors' README).
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/daformer/gta2cs_mitb5.py
_base_ = [
    '../_base_/models/daformer_mitb5.py',
    '../_base_/methods/self_training.py',
    '../_base_/datasets/gta2cs_512_rcs.py',
    '../_base_/schedules/self_training.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, segmentor=_base_.model, **_base_.daformer)
