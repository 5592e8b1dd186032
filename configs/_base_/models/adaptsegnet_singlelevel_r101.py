# AdaptSegNet, single-level, on DeepLabV2-ResNet-101 (Tsai et al., CVPR 2018, Sec. 3).
_base_ = './deeplabv2_r101.py'
model = dict(
    _delete_=True,
    type='AdaptSegNet',
    segmentor=_base_.model,
    discriminator=dict(decode=dict(type='OutputSpaceDiscriminator', in_channels=19)),
    lambda_adv=dict(decode=0.001),
)
