# AdaptSegNet, single-level, VGG-16, CARLA → CamVid on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_vgg16_singlelevel.py
_base_ = './carla2camvid_singlelevel.py'
model = dict(
    segmentor=dict(
        # these weights need RGB in 0…1 minus ImageNet's mean over its standard deviation
        data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
        backbone=dict(
            _delete_=True,
            type='DeepLabV2VGG',
            init_cfg=dict(type='Pretrained', checkpoint='weights/vgg16_hed_features.pth'),
        ),
        decode_head=dict(in_index=0),
    )
)
# seven times the work per image: fewer and smaller steps, at one learning rate for the whole network
optim_wrapper = dict(segmentor=dict(optimizer=dict(lr=5e-4), paramwise_cfg=None))
train_dataloader = dict(batch_size=2)
train_cfg = dict(max_iters=150, val_interval=50)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=151, by_epoch=False)]
