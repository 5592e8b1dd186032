# Colour transfer and AdaptSegNet, single-level, flipped images and varied colours, CARLA → CamVid on the CPU, on AAN's
# 200 frames. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_colour_aug_singlelevel.py
_base_ = './carla2camvid_200_singlelevel.py'
load, *rest, pack = _base_.source_pipeline
crop, resize = _base_.crop, _base_.resize
colour = dict(type='ColourTransfer', target='data/camvid/train/images', read=[load, crop, resize], prob=0.5)
train_dataloader = dict(dataset=dict(source=dict(pipeline=[load, colour, *rest, *_base_.augment, pack])))
