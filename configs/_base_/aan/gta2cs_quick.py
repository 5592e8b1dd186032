# GTA5 in Cityscapes' style with the recipe `quick`: a third of the time of `fast`, and less style (docs/aan.md). It
# may start from the target's colours; they have no other effect here.
_base_ = './gta2cs.py'
aan = dict(
    encoder=dict(layers=['colour', 'conv1', 'res2c', 'res3d', 'res4f', 'res5c']),
    objective=dict(content_weights=dict(colour=0.0), style_weights=dict(colour=0.0)),
    fast='quick',
)
