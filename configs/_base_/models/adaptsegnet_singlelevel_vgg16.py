# AdaptSegNet, single-level, on DeepLabV2-VGG-16 (Tsai et al., CVPR 2018, Sec. 4.1).
_base_ = './adaptsegnet_singlelevel_r101.py'
model = dict(
    segmentor=dict(
        # torchvision's weights need RGB; the released code started from weights converted from Caffe
        data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
        backbone=dict(
            _delete_=True,
            type='DeepLabV2VGG',
            init_cfg=dict(type='Pretrained', checkpoint='torchvision://vgg16', prefix='features.'),
        ),
        decode_head=dict(in_channels=1024, in_index=0),
    )
)
