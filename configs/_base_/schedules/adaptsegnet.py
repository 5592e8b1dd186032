# AdaptSegNet's optimisation: poly over 250 000 iterations, stopped at 150 000; SGD for S, Adam for D.
# `repeats` states what the released optimiser does: it holds most backbone tensors three times and the downsampling
# convolutions four times, so their update is applied that many times.
optim_wrapper = dict(
    constructor='PlayerOptimWrapperConstructor',
    segmentor=dict(
        optimizer=dict(type='RepeatedSGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4),
        paramwise_cfg=dict(
            custom_keys={
                'decode_head': dict(lr_mult=10),
                'auxiliary_head': dict(lr_mult=10),
                'backbone.layer': dict(repeats=3),
                'downsample.0.weight': dict(repeats=4),
            }
        ),
    ),
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99))),
)
# PolyLR decays over end - begin - 1 iterations
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=250_001, by_epoch=False)]
train_cfg = dict(type='ResumableTrainLoop', max_iters=150_000, val_interval=5000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='AlternatingUpdateHook')]
