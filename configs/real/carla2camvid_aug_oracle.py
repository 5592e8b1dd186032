# Oracle, flipped images and varied colours, CARLA → CamVid on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_aug_oracle.py
_base_ = './carla2camvid_oracle.py'
*load, pack = _base_.train_dataloader.dataset.pipeline
train_dataloader = dict(dataset=dict(pipeline=[*load, *_base_.augment, pack]))
