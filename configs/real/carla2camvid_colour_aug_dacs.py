# Colour transfer and DACS, the source flipped and its colours varied, CARLA → CamVid on the CPU, on AAN's 200 frames.
# Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_colour_aug_dacs.py
_base_ = './carla2camvid_colour_dacs.py'
*load, pack = _base_.train_dataloader.dataset.source.pipeline
train_dataloader = dict(dataset=dict(source=dict(pipeline=[*load, *_base_.augment, pack])))
