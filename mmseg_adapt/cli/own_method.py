"""The part of your own config that sets the training method, for methods with a teacher."""

from __future__ import annotations

NAMES = dict(adaptsegnet='AdaptSegNet', dacs='DACS', daformer='DAFormer', mic='MIC')  # --method → type of the model
CROP = 512  # pixels, as in the papers

SEGMENTOR = {  # network → its classes, and its name in this config
    'r101': """
_base_.model.segmentor.pop('auxiliary_head')
_base_.model.segmentor.decode_head.num_classes = {n}
{images}segmentor = _base_.model.segmentor
""",
    'small': """
_base_.model.decode_head.num_classes = {n}
{images}segmentor = _base_.model
""",
    'dinov2': """
_base_.model.decode_head.num_classes = {n}
_base_.model.test_cfg = dict(mode='whole')
{images}segmentor = _base_.model
""",
}
TEACHER = """
# Source and target are mixed pixel by pixel, so crops have the same size. BN needs at least two images of each.
crop = [dict(type='RandomCrop', crop_size={crop}), dict(type='RandomFlip', prob=0.5)]
for domain in ('source', 'target'):
    dataset = train_dataloader['dataset'][domain]
    pipeline = [*dataset['pipeline'][:-1], *crop, dataset['pipeline'][-1]]
    train_dataloader['dataset'][domain] = dict(dataset, pipeline=pipeline)
train_dataloader['batch_size'] = {batch_size}
model = dict(  # a mean teacher labels the target: docs/self_training.md
    _delete_=True,
    type={type!r},
    segmentor=segmentor,
    alpha={alpha},  # the teacher averages over {steps} steps
    pseudo_threshold=0.968,
{jitter}    blur=dict(prob=0.5),
{more})
optim_wrapper = dict(discriminator=dict(_delete_=True))
"""
RARE = """\
# Rare classes are drawn more often. An image drawn for a class must have more than min_pixels pixels of it.
train_dataloader['sampler']['orders'] = dict(source=dict(type='RareClassOrder', temperature=0.1, min_pixels=0))
"""


def teacher_text(
    method: str, network: str, classes: int, images: str, bands: int, size: tuple[int, ...], multiple: int
) -> str:
    """The model and its crops, for ``method`` on ``network``.

    Args:
        images: lines that set up the segmentor for images other than 8 bits and three bands.
        bands: number of bands of an image.
        size: the smaller width and height of source and target.
        multiple: the sides of a crop are multiples of this.
    """
    small = network == 'small'
    crop = tuple(min(CROP, side) // multiple * multiple for side in reversed(size))
    more = ''
    if method == 'mic':
        more += f'    mask=dict(block={max(8, min(crop) // 8)}, ratio={0.5 if small else 0.7}),\n'
    if method == 'daformer' and not small:  # a network from scratch has no features to stay close to
        more += '    feature_distance=dict(weight=0.005, classes=None),  # classes: indices of things, None for all\n'
    text = SEGMENTOR[network].format(n=classes, images=images) + TEACHER.format(
        type=NAMES[method],
        crop=crop,
        batch_size=4 if small else 2,
        alpha=0.99 if small else 0.999,
        steps=100 if small else 1000,
        jitter='    jitter=dict(strength=0.2, prob=0.8),\n' if bands == 3 else '',  # of colours
        more=more,
    )
    return text + (RARE if method == 'daformer' else '')
