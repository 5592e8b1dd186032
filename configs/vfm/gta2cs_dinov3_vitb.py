# VFM-UDA on DINOv3 ViT-B/16 (Siméoni et al., arXiv 2508.10104), GTA5 → Cityscapes, half resolution.
# Published: –.
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/vfm/gta2cs_dinov3_vitb.py
# Meta provides these weights on request, under its own DINOv3 licence: docs/backbones.md.
_base_ = [
    '../_base_/models/dinov2_vitb14.py',
    '../_base_/methods/self_training.py',
    '../_base_/datasets/gta2cs_512_rcs.py',
    '../_base_/schedules/vfm.py',
    '../_base_/default_runtime.py',
]
_base_.source_pipeline.insert(-1, dict(type='PhotoMetricDistortion'))
train_dataloader = dict(dataset=dict(source=dict(pipeline=_base_.source_pipeline)))
weights = 'pretrained/dinov3_vitb16_pretrain_lvd1689m.pth'
_base_.model.backbone.update(model_name='vit_base_patch16_dinov3', init_cfg=dict(type='Pretrained', checkpoint=weights))
_base_.model.test_cfg = dict(mode='slide', crop_size=(512, 512), stride=(256, 256))
model = dict(_delete_=True, segmentor=_base_.model, **dict(_base_.vfm, mask=dict(_base_.mask, block=32)))
