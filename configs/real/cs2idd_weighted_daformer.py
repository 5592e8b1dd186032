# DAFormer's parts, and rare classes weigh more in the loss, Cityscapes → IDD-Lite on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_weighted_daformer.py
_base_ = './cs2idd_daformer.py'
model = dict(segmentor=dict(decode_head=dict(loss_decode=dict(class_weight=_base_.class_weight))))
