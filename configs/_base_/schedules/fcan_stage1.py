# FCAN, stage 1: on the source only (Zhang et al., CVPR 2018, Sec. 4.2).
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.0025, momentum=0.9, weight_decay=5e-4))
# PolyLR decays over end - begin - 1 iterations
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=30_001, by_epoch=False)]
train_cfg = dict(type='ResumableTrainLoop', max_iters=30_000, val_interval=5000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
