# The demo: nothing to download. A small encoder keeps its random weights (the same in every process), which is enough
# for colours and fine texture.
aan = dict(
    encoder=dict(
        type='ResNetStyleEncoder',
        layers=['colour', 'conv1', 'res2a'],
        stem_channels=16,
        base_channels=8,
    ),
    objective=dict(
        weights='balanced',
        alpha=1.0,
        content_weights=dict(colour=0.0, conv1=0.3),
        style_weights=dict(colour=30.0),
    ),
    fast=True,
    recipe=dict(levels=[(0.5, 20), (1.0, 15)]),
)
