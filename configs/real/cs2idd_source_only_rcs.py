# No adaptation but rare class sampling, Cityscapes → IDD-Lite on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_source_only_rcs.py
_base_ = './cs2idd_source_only.py'
train_dataloader = dict(sampler=dict(_delete_=True, type='OrderSampler', order=_base_.rare_class_order))
