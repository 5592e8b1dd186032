# AdaptSegNet, single-level, on DeepLabV2-VGG-16 (Tsai et al., CVPR 2018, Sec. 4.1).
_base_ = './adaptsegnet_singlelevel_r101.py'
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
