"""Shrink the configs' networks so that an iteration takes almost no time, for tests and rehearsals."""

from collections.abc import Iterator

RESNET = dict(depth=18, stem_channels=8, base_channels=8)
MIT = dict(embed_dims=8, num_layers=(1, 1, 1, 1))
SMALL = dict(  # type → arguments
    OutputSpaceDiscriminator=dict(base_channels=2),
    RegionDiscriminator=dict(channels=4),
    ResNet=RESNET,
    ResNetV1c=RESNET,
    DAFormerMixTransformer=MIT,
    DAFormerHead=dict(in_channels=(8, 16, 40, 64), embed_channels=16, channels=16),
    DeepLabV2ResNet=RESNET,
    DeepLabV2VGG=dict(fc_channels=64),
    PSPHead=dict(in_channels=64, channels=8),
    DeepLabV2Head=dict(in_channels=64),
    FoundationViT=dict(depth=2, embed_dim=24, num_heads=2),
    SETRUPHead=dict(in_channels=24, channels=16),
    HRDASegmentor=dict(detail_crop=(32, 32)),
)


def typed(node) -> Iterator[dict]:
    """Every dict in ``node`` that has a type."""
    if isinstance(node, dict) and 'type' in node:
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ():
        yield from typed(child)


def shrink_model(model: dict) -> None:
    """Change a config's ``model`` in place: the same method on networks of a few channels, for images of 64×64."""
    for part in typed(model):
        part.update(SMALL.get(part['type'], {}))
    segmentor = model.get('segmentor', model)
    if segmentor.get('auxiliary_head'):
        segmentor['auxiliary_head']['in_channels'] = 32
    if discriminator := model.get('discriminator', {}).get('backbone'):
        discriminator['in_channels'] = 64
    for margin in {'ignore_top', 'ignore_bottom'} & model.keys():
        model[margin] //= 8
    if 'mask' in model:
        model['mask']['block'] //= 4
