# No adaptation, Cityscapes → IDD-Lite on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_source_only.py
_base_ = './cs2idd_singlelevel.py'
model = dict(_delete_=True, **_base_.model.segmentor)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(_delete_=True, **_base_.train_dataloader.dataset.source),
)
optim_wrapper = dict(_delete_=True, type='OptimWrapper', **_base_.optim_wrapper.segmentor)
custom_hooks = []
