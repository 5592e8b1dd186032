# VFM-UDA on DINOv2 ViT-L, GTA5 → Cityscapes, full resolution (Englert et al., CVPRW 2024).
# Published mIoU 78.4 (batch 8 + 8; this config: 2 + 2).
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/vfm/gta2cs_vitl_1022.py
# Full resolution: margins of the image instead of the crop, larger blocks and windows.
_base_ = [
    '../_base_/models/dinov2_vitl14.py',
    '../_base_/methods/self_training.py',
    '../_base_/datasets/gta2cs_1022_rcs.py',
    '../_base_/schedules/vfm.py',
    '../_base_/default_runtime.py',
]
_base_.model.test_cfg = dict(mode='slide', crop_size=(1022, 1022), stride=(511, 511))
vfm = dict(_base_.vfm, ignore_top=0, ignore_bottom=0, mask=dict(_base_.mask, block=56))
model = dict(_delete_=True, segmentor=_base_.model, **vfm)
