# Colour transfer, DACS and rare classes, the source flipped and its colours varied, CARLA → Cityscapes on the CPU.
# Ours: docs/results.md.
#   python tools/train.py configs/real/carla2cs_colour_aug_dacs_rcs.py
_base_ = './carla2cs_colour_dacs_rcs.py'
*load, pack = _base_.train_dataloader.dataset.source.pipeline
train_dataloader = dict(dataset=dict(source=dict(pipeline=[*load, *_base_.augment, pack])))
