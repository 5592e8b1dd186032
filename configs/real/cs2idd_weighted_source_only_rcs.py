# No adaptation, rare class sampling, rare classes weigh more in the loss, Cityscapes → IDD-Lite on the CPU. Ours:
# docs/results.md.
#   python tools/train.py configs/real/cs2idd_weighted_source_only_rcs.py
_base_ = './cs2idd_source_only_rcs.py'
model = dict(decode_head=dict(loss_decode=dict(class_weight=_base_.class_weight)))
