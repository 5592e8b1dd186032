# DACS with rare class sampling, CARLA → Cityscapes on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2cs_dacs_rcs.py
_base_ = './carla2cs_dacs.py'
train_dataloader = dict(sampler=dict(orders=dict(source=_base_.rare_class_order)))
