# AAN and AdaptSegNet, single-level, the source flipped and its colours varied, CARLA → CamVid on the CPU. Ours:
# docs/results.md.
#   python tools/train.py configs/real/carla2camvid_aan_aug_singlelevel.py    (renders: carla2camvid_aan_singlelevel.py)
_base_ = './carla2camvid_aan_singlelevel.py'
*load, pack = _base_.source_pipeline
train_dataloader = dict(dataset=dict(source=dict(pipeline=[*load, *_base_.augment, pack])))
