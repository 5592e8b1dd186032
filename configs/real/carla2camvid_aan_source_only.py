# AAN alone, CARLA → CamVid on the CPU: source-only training on 200 frames and their renders. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_aan_source_only.py    (renders: carla2camvid_aan_singlelevel.py)
_base_ = './carla2camvid_aan_singlelevel.py'
model = dict(_delete_=True, **_base_.model.segmentor)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(_delete_=True, **_base_.train_dataloader.dataset.source),
)
optim_wrapper = dict(_delete_=True, type='OptimWrapper', **_base_.optim_wrapper.segmentor)
custom_hooks = []
