# No adaptation but rare class sampling, CARLA → Cityscapes on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2cs_source_only_rcs.py
_base_ = './carla2cs_source_only.py'
train_dataloader = dict(sampler=dict(_delete_=True, type='OrderSampler', order=_base_.rare_class_order))
