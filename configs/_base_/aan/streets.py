# The demo: no weights to download, so the encoder's stay random (the same in every process), which is enough for
# colours and fine texture.
aan = dict(
    encoder=dict(type='VGGStyleEncoder', layers=['colour', 'relu1_1', 'relu1_2']),
    objective=dict(
        weights='balanced',
        alpha=1.0,
        content_weights=dict(colour=0.0, relu1_1=0.0),
        style_weights=dict(colour=10.0),
    ),
    fast=True,
    recipe=dict(levels=[(0.5, 20), (1.0, 10)]),
)
