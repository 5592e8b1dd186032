# AAN alone, flipped images and varied colours, CARLA → CamVid on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_aan_aug_source_only.py
_base_ = './carla2camvid_aan_source_only.py'
*load, pack = _base_.source_pipeline
train_dataloader = dict(dataset=dict(pipeline=[*load, *_base_.augment, pack]))
