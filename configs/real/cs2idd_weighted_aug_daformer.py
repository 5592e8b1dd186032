# DAFormer's parts, rare classes weigh more in the loss, the colours of the source varied, Cityscapes → IDD-Lite on the
# CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_weighted_aug_daformer.py
_base_ = './cs2idd_weighted_daformer.py'
*load, pack = _base_.source_pipeline
train_dataloader = dict(dataset=dict(source=dict(pipeline=[*load, *_base_.augment, pack])))
