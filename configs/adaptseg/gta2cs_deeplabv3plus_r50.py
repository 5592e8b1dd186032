# AdaptSegNet on MMSegmentation's own DeepLabV3+ (a stock model adapted in a few lines), GTA5 → Cityscapes.
# Published: none. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/gta2cs_deeplabv3plus_r50.py
_base_ = [
    'mmseg::_base_/models/deeplabv3plus_r50-d8.py',
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
train_dataloader = dict(batch_size=2)  # BN after the global pooling needs two
optim_wrapper = dict(
    segmentor=dict(_delete_=True, optimizer=dict(type='SGD', lr=2.5e-3, momentum=0.9, weight_decay=5e-4))
)
