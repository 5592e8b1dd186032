# AdaptSegNet, single-level, the source flipped and its colours varied, CARLA → CamVid on the CPU. Ours:
# docs/results.md.
#   python tools/train.py configs/real/carla2camvid_aug_singlelevel.py
_base_ = './carla2camvid_singlelevel.py'
*load, pack = _base_.source_pipeline
train_dataloader = dict(dataset=dict(source=dict(pipeline=[*load, *_base_.augment, pack])))
