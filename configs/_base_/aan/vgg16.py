# AAN with VGG-16, relu1_2 … relu5_3, and torchvision's weights.
aan = dict(
    encoder=dict(
        type='VGGStyleEncoder',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://vgg16', prefix='features.'),
    ),
    objective=dict(weights='balanced', alpha=1.0),
    fast=True,
)
