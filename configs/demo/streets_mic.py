# MIC on DACS, on the two generated domains of the demo. Ours: docs/results.md.
#   python tools/train.py configs/demo/streets_mic.py
_base_ = './streets_dacs.py'
model = dict(type='MIC', mask=dict(block=16, ratio=0.5, begin=100, ramp=50))
train_dataloader = dict(sampler=dict(orders=dict(source=dict(type='RareClassOrder', temperature=0.1, min_pixels=50))))
