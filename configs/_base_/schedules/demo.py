# 500 iterations of 4 + 4 images of 96×192: about two minutes on two CPU cores.
optim_wrapper = dict(
    constructor='PlayerOptimWrapperConstructor',
    segmentor=dict(optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4)),
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99))),
)
# PolyLR decays over end - begin - 1 iterations
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=501, by_epoch=False)]
train_cfg = dict(type='ResumableTrainLoop', max_iters=500, val_interval=100)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='AlternatingUpdateHook')]
