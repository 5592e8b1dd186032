# Oracle, flipped images and varied colours, CARLA → Cityscapes on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2cs_aug_oracle.py
_base_ = './carla2cs_oracle.py'
*load, pack = _base_.train_dataloader.dataset.pipeline
train_dataloader = dict(dataset=dict(pipeline=[*load, *_base_.augment, pack]))
