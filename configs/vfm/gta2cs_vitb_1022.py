# VFM-UDA on DINOv2 ViT-B, GTA5 → Cityscapes, full resolution (Englert et al., CVPRW 2024).
# Published mIoU 77.1 (batch 8 + 8; this config: 2 + 2).
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/vfm/gta2cs_vitb_1022.py
# Full resolution: no margins of the crop, and larger windows.
_base_ = ['./gta2cs_vitb.py', '../_base_/datasets/gta2cs_1022_rcs.py']
model = dict(
    ignore_top=0,
    ignore_bottom=0,
    mask=dict(block=56),
    segmentor=dict(test_cfg=dict(crop_size=(1022, 1022), stride=(511, 511))),
)
