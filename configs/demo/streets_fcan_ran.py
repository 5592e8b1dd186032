# FCAN's RAN (stage 2, from the checkpoint of streets_fcan_fcn.py), on the two generated domains of the demo.
# Ours: docs/results.md.
#   python tools/train.py configs/demo/streets_fcan_ran.py
_base_ = './streets_ran.py'
model = dict(
    segmentor=dict(init_cfg=dict(type='Pretrained', checkpoint='work_dirs/streets_fcan_fcn/iter_500.pth')),
)
optim_wrapper = dict(segmentor=dict(optimizer=dict(lr=0.005)), discriminator=dict(optimizer=dict(lr=1e-3)))
train_cfg = dict(max_iters=200)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=201, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=100))
