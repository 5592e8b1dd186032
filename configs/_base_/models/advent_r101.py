# AdvEnt, multi-level, on DeepLabV2-ResNet-101 (Vu et al., CVPR 2019). Unlike in AdaptSegNet's released code, all four
# rates are used.
_base_ = './adaptsegnet_multilevel_r101.py'
rates = (6, 12, 18, 24)
model = dict(
    type='AdvEnt',
    segmentor=dict(decode_head=dict(dilations=rates), auxiliary_head=dict(dilations=rates)),
)
