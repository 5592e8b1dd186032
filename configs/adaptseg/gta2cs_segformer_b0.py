# AdaptSegNet on MMSegmentation's own SegFormer (a stock config adapted in a few lines), GTA5 → Cityscapes.
# Published: none. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/gta2cs_segformer_b0.py
_base_ = [
    'mmseg::_base_/models/segformer_mit-b0.py',
    '../_base_/datasets/gta2cs.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
_base_.model.data_preprocessor.size_divisor = 1  # no padding: it would tell D the domain
model = dict(
    _delete_=True,
    type='AdaptSegNet',
    segmentor=dict(_base_.model, type='MultiLevelSegmentor'),
    discriminator=dict(decode=dict(type='OutputSpaceDiscriminator', in_channels=19)),
    lambda_adv=dict(decode=0.001),
)
optim_wrapper = dict(segmentor=dict(_delete_=True, optimizer=dict(type='AdamW', lr=6e-5, weight_decay=0.01)))
