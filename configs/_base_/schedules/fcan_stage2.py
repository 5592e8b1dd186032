# FCAN, stage 2: the game (Zhang et al., CVPR 2018, Sec. 4.2). D is optimised as in AdaptSegNet; the
# paper does not say how.
optim_wrapper = dict(
    constructor='PlayerOptimWrapperConstructor',
    segmentor=dict(optimizer=dict(type='SGD', lr=1e-4, momentum=0.9, weight_decay=5e-4)),
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99))),
)
# PolyLR decays over end - begin - 1 iterations
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=10_001, by_epoch=False)]
train_cfg = dict(type='ResumableTrainLoop', max_iters=10_000, val_interval=1000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='AlternatingUpdateHook')]
