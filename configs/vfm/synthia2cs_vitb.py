# VFM-UDA on DINOv2 ViT-B, SYNTHIA → Cityscapes, half resolution (not in the paper's tables).
# Published: –.
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/vfm/synthia2cs_vitb.py
_base_ = [
    '../_base_/models/dinov2_vitb14.py',
    '../_base_/methods/self_training.py',
    '../_base_/datasets/synthia2cs_504_rcs.py',
    '../_base_/schedules/vfm.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, segmentor=_base_.model, **_base_.vfm)
