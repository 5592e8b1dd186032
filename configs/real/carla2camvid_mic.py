# MIC on DACS, CARLA → CamVid on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_mic.py
_base_ = './carla2camvid_dacs.py'
model = dict(type='MIC', mask=dict(block=16, ratio=0.5, begin=100, ramp=50))
