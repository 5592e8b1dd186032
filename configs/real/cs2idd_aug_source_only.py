# No adaptation, varied colours, Cityscapes → IDD-Lite on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_aug_source_only.py
_base_ = './cs2idd_source_only.py'
*load, pack = _base_.source_pipeline
train_dataloader = dict(dataset=dict(pipeline=[*load, *_base_.augment, pack]))
