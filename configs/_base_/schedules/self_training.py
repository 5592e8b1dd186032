# The optimisation of DAFormer, HRDA and MIC: AdamW, 40 000 iterations, warm-up times linear decay.
optim_wrapper = dict(
    constructor='PlayerOptimWrapperConstructor',
    segmentor=dict(
        optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
        paramwise_cfg=dict(
            custom_keys={
                'head': dict(lr_mult=10),  # its BN decays
                'norm': dict(decay_mult=0),  # MiT's LayerNorms; MMSegmentation names those after stages differently:
                **{f'backbone.layers.{stage}.2': dict(decay_mult=0) for stage in range(4)},
            }
        ),
    ),
)
param_scheduler = [  # lr(t) = lr · (1 − t / 40 000) · (the warm-up while t < 1500), exactly
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=1501, by_epoch=False),
    dict(type='PolyLR', power=1.0, eta_min=0.0, begin=0, end=40_001, by_epoch=False),
]
train_cfg = dict(type='ResumableTrainLoop', max_iters=40_000, val_interval=5000)  # the release validates every 4000
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='AlternatingUpdateHook')]
