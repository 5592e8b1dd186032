# AdaptSegNet, single-level, on DINOv2 ViT-B, GTA5 → Cityscapes: the adversarial game on the same network.
# Published: –.
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/vfm/gta2cs_adaptsegnet_vitb.py
_base_ = [
    '../_base_/models/dinov2_vitb14.py',
    '../_base_/datasets/gta2cs.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
# Sides are multiples of 14, the patch size: padding would tell D the domain.
scale = dict(source=(1274, 714), target=(1008, 504))
source_pipeline = [dict(s, scale=scale['source']) if s.type == 'Resize' else s for s in _base_.source_pipeline]
target_pipeline = [dict(s, scale=scale['target']) if s.type == 'Resize' else s for s in _base_.target_pipeline]
test_pipeline = [dict(s, scale=scale['target']) if s.type == 'Resize' else s for s in _base_.test_pipeline]
train_dataloader = dict(dataset=dict(source=dict(pipeline=source_pipeline), target=dict(pipeline=target_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
model = dict(
    _delete_=True,
    type='AdaptSegNet',
    segmentor=_base_.model,
    discriminator=dict(decode=dict(type='OutputSpaceDiscriminator', in_channels=19)),
    lambda_adv=dict(decode=0.001),
)
adamw = dict(type='AdamW', lr=5e-6, weight_decay=0.01)
rates = dict(layer_decay=0.9, norm_decay_mult=0.0, custom_keys=dict(head=dict(lr_mult=10.0)))
optim_wrapper = dict(segmentor=dict(_delete_=True, optimizer=adamw, paramwise_cfg=rates))
