# AdaptSegNet, multi-level, GTA5 → Cityscapes (Tsai et al., CVPR 2018, Table 1, "Ours (multi-level)").
# Published mIoU 42.4. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/gta2cs_multilevel.py
# Follows the released code as it behaves; the paper's text: gta2cs_multilevel_paper.py.
_base_ = [
    '../_base_/models/deeplabv2_r101.py',
    '../_base_/datasets/gta2cs.py',
    '../_base_/schedules/adaptsegnet.py',
    '../_base_/default_runtime.py',
]
model = dict(
    _delete_=True,
    type='AdaptSegNet',
    segmentor=dict(
        _base_.model,
        auxiliary_head=dict(
            type='DeepLabV2Head',
            in_channels=1024,
            in_index=2,
            num_classes=19,
            dilations=(6, 12),
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.1),
        ),
    ),
    discriminator=dict(
        decode=dict(type='OutputSpaceDiscriminator', in_channels=19),
        aux=dict(type='OutputSpaceDiscriminator', in_channels=19),
    ),
    lambda_adv=dict(decode=0.001, aux=0.0002),
)
