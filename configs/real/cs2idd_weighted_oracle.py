# Oracle: supervised on IDD-Lite's own labels, the classes weighed as in the other weighted configs, on the CPU. Ours:
# docs/results.md.
#   python tools/train.py configs/real/cs2idd_weighted_oracle.py
_base_ = './cs2idd_oracle.py'
model = dict(decode_head=dict(loss_decode=dict(class_weight=_base_.class_weight)))
