# No adaptation, on the two generated domains of the demo: trained on the source, tested on the target.
#   make demo, or: python tools/train.py configs/demo/streets_source_only.py
_base_ = './streets_singlelevel.py'
model = dict(_delete_=True, **_base_.model.segmentor)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(_delete_=True, **_base_.train_dataloader.dataset.source),
)
optim_wrapper = dict(_delete_=True, type='OptimWrapper', **_base_.optim_wrapper.segmentor)
custom_hooks = []
