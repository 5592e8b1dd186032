# DAFormer's parts on MobileNetV2, Cityscapes → IDD-Lite on the CPU: DACS, rare class sampling and the distance of the
# features of things from ImageNet's. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_daformer.py
_base_ = './cs2idd_dacs_rcs.py'
model = dict(type='DAFormer', feature_distance=dict(weight=0.005, classes=(2, 3, 4), min_ratio=0.75))
