# Source-only training on images in the target's colours, Cityscapes → IDD-Lite on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_colour_source_only.py
_base_ = './cs2idd_source_only.py'
load, *rest = _base_.source_pipeline
colour = dict(type='ColourTransfer', target='data/idd_lite/images/train', read=[load, _base_.resize], prob=0.5)
train_dataloader = dict(dataset=dict(pipeline=[load, colour, *rest]))
