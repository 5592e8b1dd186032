# Colour transfer and AdaptSegNet, single-level, flipped images and varied colours, CARLA → Cityscapes on the CPU. Ours:
# docs/results.md.
#   python tools/train.py configs/real/carla2cs_colour_aug_singlelevel.py
_base_ = './carla2cs_singlelevel.py'
load, *rest, pack = _base_.source_pipeline
colour = dict(type='ColourTransfer', target='data/cityscapes_small/images/train', read=[load, _base_.resize], prob=0.5)
train_dataloader = dict(dataset=dict(source=dict(pipeline=[load, colour, *rest, *_base_.augment, pack])))
