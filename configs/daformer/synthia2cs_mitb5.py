# DAFormer, MiT-B5, SYNTHIA → Cityscapes (Hoyer et al., CVPR 2022, Table 6).
# Published mIoU, 16 classes, 60.9 (mean of 3 seeds; the authors' README).
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/daformer/synthia2cs_mitb5.py
_base_ = [
    '../_base_/models/daformer_mitb5.py',
    '../_base_/methods/self_training.py',
    '../_base_/datasets/synthia2cs_512_rcs.py',
    '../_base_/schedules/self_training.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, segmentor=_base_.model, **_base_.daformer)
