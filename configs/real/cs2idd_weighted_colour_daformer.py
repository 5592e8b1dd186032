# Colour transfer and DAFormer's parts, and rare classes weigh more in the loss, Cityscapes → IDD-Lite on the CPU. Ours:
# docs/results.md.
#   python tools/train.py configs/real/cs2idd_weighted_colour_daformer.py
_base_ = './cs2idd_colour_daformer.py'
model = dict(segmentor=dict(decode_head=dict(loss_decode=dict(class_weight=_base_.class_weight))))
