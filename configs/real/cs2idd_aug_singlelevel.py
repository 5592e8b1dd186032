# AdaptSegNet, single-level, the colours of the source varied, Cityscapes → IDD-Lite on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_aug_singlelevel.py
_base_ = './cs2idd_singlelevel.py'
*load, pack = _base_.source_pipeline
train_dataloader = dict(dataset=dict(source=dict(pipeline=[*load, *_base_.augment, pack])))
