# AdaptSegNet on MMSegmentation's own SegFormer (a stock model adapted in a few lines), GTA5 → Cityscapes. Weights,
# learning rates and decay are those of its stock configs; the schedule is AdaptSegNet's, without a warm-up.
# Published: none. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/gta2cs_segformer_b0.py
_base_ = [
    'mmseg::_base_/models/segformer_mit-b0.py',
    '../_base_/datasets/gta2cs.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
_base_.model.data_preprocessor.size_divisor = 1  # no padding: it would tell D the domain
weights = 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segformer/mit_b0_20220624-7e0fe6dd.pth'
model = dict(
    _delete_=True,
    type='AdaptSegNet',
    segmentor=dict(_base_.model, type='MultiLevelSegmentor', pretrained=weights),
    discriminator=dict(decode=dict(type='OutputSpaceDiscriminator', in_channels=19)),
    lambda_adv=dict(decode=0.001),
)
adamw = dict(type='AdamW', lr=6e-5, weight_decay=0.01)
rates = dict(custom_keys=dict(norm=dict(decay_mult=0.0), head=dict(lr_mult=10.0)))
optim_wrapper = dict(segmentor=dict(_delete_=True, optimizer=adamw, paramwise_cfg=rates))
