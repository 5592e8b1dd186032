# DAFormer's parts on MobileNetV2, CARLA → Cityscapes on the CPU: DACS, rare class sampling and the distance of the
# features from ImageNet's. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2cs_daformer.py
_base_ = './carla2cs_dacs_rcs.py'
model = dict(type='DAFormer', feature_distance=dict(weight=0.005, classes=(0, 1, 2), min_ratio=0.75))
