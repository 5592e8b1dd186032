# 300 iterations of 4 + 4 images of 160×80: minutes on one CPU core. In so few iterations D hardly learns at the
# paper's learning rate of 1e-4: its loss stays above 0.6 for most of the schedule.
optim_wrapper = dict(
    constructor='PlayerOptimWrapperConstructor',
    segmentor=dict(
        optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=5e-4),
        paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=5), 'auxiliary_head': dict(lr_mult=5)}),
    ),
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.9, 0.99))),
)
# PolyLR decays over end - begin - 1 iterations
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=301, by_epoch=False)]
train_cfg = dict(type='ResumableTrainLoop', max_iters=300, val_interval=50)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='AlternatingUpdateHook')]
