# AAN with the features of the thin Caffe ResNet-50 (half width; docs/real_images.md), with balanced layers: `alpha` is
# then a plain number. It uses the paper's layers except the deepest, whose 3×5 positions at 160×80 carry no texture,
# plus the colours, which this network hardly encodes. Content uses the middle layers, so that colours may change.
aan = dict(
    encoder=dict(
        type='ResNetStyleEncoder',
        layers=['colour', 'conv1', 'res2c', 'res3d', 'res4f'],
        stem_channels=64,
        base_channels=32,
        init_cfg=dict(type='Pretrained', checkpoint='weights/thin_resnet50_caffe.pth'),
    ),
    objective=dict(
        weights='balanced',
        alpha=1.0,
        content_weights=dict(colour=0.0, conv1=0.0, res2c=0.3),
        style_weights=dict(colour=30.0, res4f=0.3),
    ),
    fast=True,
)
