# VFM-UDA on DINOv2 ViT-B, GTA5 → Cityscapes, half resolution (Englert et al., CVPRW 2024).
# Published: – (at full resolution: gta2cs_vitb_1022).
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/vfm/gta2cs_vitb.py
_base_ = [
    '../_base_/models/dinov2_vitb14.py',
    '../_base_/methods/self_training.py',
    '../_base_/datasets/gta2cs_504_rcs.py',
    '../_base_/schedules/vfm.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, segmentor=_base_.model, **_base_.vfm)
