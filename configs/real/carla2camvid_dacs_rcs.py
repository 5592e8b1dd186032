# DACS with rare class sampling, CARLA → CamVid on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_dacs_rcs.py
_base_ = './carla2camvid_dacs.py'
train_dataloader = dict(sampler=dict(orders=dict(source=dict(type='RareClassOrder', temperature=0.1, min_pixels=200))))
