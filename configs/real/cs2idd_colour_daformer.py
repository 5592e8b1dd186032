# Colour transfer and DAFormer's parts, Cityscapes → IDD-Lite on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_colour_daformer.py
_base_ = './cs2idd_daformer.py'
load, *rest = _base_.source_pipeline
colour = dict(type='ColourTransfer', target='data/idd_lite/images/train', read=[load, _base_.resize], prob=0.5)
train_dataloader = dict(dataset=dict(source=dict(pipeline=[load, colour, *rest])))
