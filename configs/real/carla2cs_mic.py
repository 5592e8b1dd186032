# MIC on DACS with rare class sampling, CARLA → Cityscapes on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2cs_mic.py
_base_ = './carla2cs_dacs_rcs.py'
model = dict(type='MIC', mask=dict(block=16, ratio=0.5, begin=150, ramp=100))  # masks hurt while pseudo-labels are poor
