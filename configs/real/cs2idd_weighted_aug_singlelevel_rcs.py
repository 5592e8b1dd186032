# AdaptSegNet, single-level, rare class sampling, rare classes weigh more in the loss, the colours of the source varied,
# Cityscapes → IDD-Lite on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_weighted_aug_singlelevel_rcs.py
_base_ = './cs2idd_aug_singlelevel.py'
model = dict(segmentor=dict(decode_head=dict(loss_decode=dict(class_weight=_base_.class_weight))))
train_dataloader = dict(sampler=dict(orders=dict(source=_base_.rare_class_order)))
