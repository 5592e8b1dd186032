# MIC on DACS, on the two generated domains of the demo.
#   python tools/train.py configs/demo/streets_mic.py
_base_ = './streets_dacs.py'
model = dict(type='MIC', mask=dict(block=16, ratio=0.5, begin=100, ramp=50))
