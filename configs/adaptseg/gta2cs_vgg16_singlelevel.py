# AdaptSegNet, single-level, VGG-16, GTA5 → Cityscapes (Tsai et al., CVPR 2018, Table 1, "Ours (single-level)", VGG).
# Published mIoU 35.0. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/gta2cs_vgg16_singlelevel.py
# One learning rate for the whole network, each parameter updated once.
_base_ = './gta2cs_singlelevel.py'
model = dict(
    segmentor=dict(
        backbone=dict(
            _delete_=True,
            type='DeepLabV2VGG',
            init_cfg=dict(type='Pretrained', checkpoint='torchvision://vgg16', prefix='features.'),
        ),
        decode_head=dict(in_channels=1024, in_index=0),
    )
)
optim_wrapper = dict(segmentor=dict(optimizer=dict(type='SGD'), paramwise_cfg=None))
