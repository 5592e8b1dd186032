# DACS with rare class sampling, Cityscapes → IDD-Lite on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_dacs_rcs.py
_base_ = './cs2idd_dacs.py'
train_dataloader = dict(sampler=dict(orders=dict(source=_base_.rare_class_order)))
