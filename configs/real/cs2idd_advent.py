# AdvEnt, Cityscapes → IDD-Lite on the CPU. Ours: not measured yet.
#   python tools/train.py configs/real/cs2idd_advent.py
_base_ = './cs2idd_singlelevel.py'
model = dict(type='AdvEnt')
