# FCAN's RAN (stage 2, from the checkpoint of carla2camvid_fcan_fcn.py), CARLA → CamVid on the CPU.
# Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_fcan_ran.py
_base_ = './carla2camvid_singlelevel.py'
model = dict(
    type='RAN',
    segmentor=dict(
        backbone=dict(init_cfg=None),
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/carla2camvid_fcan_fcn/iter_200.pth'),
    ),
    discriminator=dict(_delete_=True, backbone=dict(type='RegionDiscriminator', in_channels=1024)),
    lambda_adv=dict(_delete_=True, backbone=0.02),
)
optim_wrapper = dict(segmentor=dict(optimizer=dict(lr=5e-4)))
train_dataloader = dict(batch_size=2)
train_cfg = dict(max_iters=100, val_interval=50)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=101, by_epoch=False)]
