# VFM-UDA on DINOv2 ViT-B with the feature distance of VFM-UDA++ (Englert and Dubbelman, ICCVW 2025), GTA5 → Cityscapes.
# Published: – (VFM-UDA++, with an adapter for several scales, at full resolution: ViT-L 79.8).
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/vfm/gta2cs_vitb_fd.py
_base_ = './gta2cs_vitb.py'
model = dict(
    feature_distance=dict(weight=0.1),  # on source and target
    segmentor=dict(projection=dict(type='FeatureProjection', in_channels=768)),
)
