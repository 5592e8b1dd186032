# AdaptSegNet, single-level, least-squares objective, CARLA → CamVid on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_singlelevel_lsgan.py
_base_ = './carla2camvid_singlelevel.py'
model = dict(objective='lsgan')
