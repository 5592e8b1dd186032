# No adaptation, rare class sampling, rare classes weigh more in the loss, varied colours, Cityscapes → IDD-Lite on the
# CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_weighted_aug_source_only_rcs.py
_base_ = './cs2idd_weighted_source_only_rcs.py'
*load, pack = _base_.source_pipeline
train_dataloader = dict(dataset=dict(pipeline=[*load, *_base_.augment, pack]))
