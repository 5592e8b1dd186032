"""The text of a config for your own data set (``tools/new_config.py``)."""

from __future__ import annotations

import math
import os.path as osp
import textwrap
from pathlib import Path

from ..datasets.id_mapped import IGNORE
from .class_ids import ClassIds, palette_of
from .look import Look
from .own_method import NAMES, teacher_text
from .reading import Reading, mean_and_std

NETWORKS = {  # name → model and schedule of configs/_base_, images per domain and iteration, divisor of the sides
    'r101': ('adaptsegnet_multilevel_r101', 'adaptsegnet', 1, 1),
    'small': ('deeplabv2_small', 'demo', 4, 1),
    'dinov2': ('dinov2_vitb14', 'adaptsegnet', 2, 14),
}
LARGEST = 1280 * 720  # pixels of a training image: larger ones are scaled down
MODEL = {
    'r101': """
model = dict(  # AdaptSegNet, multi-level: D sees the predictions of two levels
    segmentor=dict(
{images}        decode_head=dict(num_classes={n}),
        auxiliary_head=dict(num_classes={n}),
    ),
    discriminator=dict(decode=dict(in_channels={n}), aux=dict(in_channels={n})),
    lambda_adv=dict(decode=0.001, aux=0.0002),
)
""",
    'small': """
_base_.model.decode_head.num_classes = {n}
{images}model = dict(  # AdaptSegNet, single-level, on a small network without pre-training
    _delete_=True,
    type='AdaptSegNet',
    segmentor=_base_.model,
    discriminator=dict(decode=dict(type='OutputSpaceDiscriminator', in_channels={n}, base_channels=16)),
    lambda_adv=dict(decode=0.03),
)
""",
    'dinov2': """
_base_.model.decode_head.num_classes = {n}
_base_.model.test_cfg = dict(mode='whole')
{images}model = dict(  # AdaptSegNet, single-level, on DINOv2 (docs/backbones.md)
    _delete_=True,
    type='AdaptSegNet',
    segmentor=_base_.model,
    discriminator=dict(decode=dict(type='OutputSpaceDiscriminator', in_channels={n})),
    lambda_adv=dict(decode=0.001),
)
optim_wrapper = dict()
""",
}
RATES = {  # settings that a network needs in addition to its schedule
    'dinov2': """\
rates = dict(layer_decay=0.9, norm_decay_mult=0.0, custom_keys=dict(head=dict(lr_mult=10)))
adamw = dict(type='AdamW', lr=5e-6, weight_decay=0.01)
optim_wrapper['segmentor'] = dict(_delete_=True, optimizer=adamw, paramwise_cfg=rates)
"""
}
HEAD = """\
# {method} on your own data. Written by tools/new_config.py; you can edit it.
# Labelled source: {source}. Unlabelled target: {target}.
#   python tools/analysis/browse_data.py {out}
#   python tools/train.py {out}
#   python tools/test.py {out} work_dirs/{name}/iter_….pth
_base_ = [
    {bases},
]
{shares}
colours = {{  # in pictures: red, green, blue
{colours}}}
metainfo = dict(classes=tuple(colours), palette=list(colours.values()))
# id in the label files → class; {others}
source_ids = {source_ids}

{sizes}
source_resize = dict(type='Resize', scale={source_scale}, keep_ratio=False, {source_how})
target_resize = dict(type='Resize', scale={target_scale}, keep_ratio=False, {target_how})
{loads}
{augment}source_pipeline = [source_load, dict(type='LoadLabels'), source_resize, *augment, dict(type='PackSegInputs')]
target_pipeline = [target_load, target_resize, dict(type='PackSegInputs')]
train_dataloader = dict(
    batch_size={batch_size},  # images of each domain
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DomainPairSampler'),
    dataset=dict(
        type='DomainPairDataset',
        source=dict(
{source_dataset}
            metainfo=metainfo,
            id_map=source_ids,
            pipeline=source_pipeline,
        ),
        target=dict(  # no labels: training never reads them
{target_dataset}
            metainfo=metainfo,
            pipeline=target_pipeline,
        ),
    ),
)
"""
WITH_LABELS = """\

# Validation on labelled target images{same}. The mIoU is only printed; it does not influence training.
val_ids = {val_ids}
test_pipeline = [target_load, target_resize, dict(type='LoadLabels'), dict(type='PackSegInputs')]
tta_pipeline = [  # tools/test.py --tta
    target_load,
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(target_resize, scale=(int({w} * r), int({h} * r))) for r in (1.0, 0.75, 1.25)],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='LoadLabels')],
            [dict(type='PackSegInputs')],
        ],
    ),
]
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
{val_dataset}
        metainfo=metainfo,
        id_map=val_ids,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='ClassIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
"""
WITHOUT_LABELS = """\

# There are no labelled target images, so there is no validation. tools/test.py writes a PNG of class indices per
# target image.
val_cfg = None
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=train_dataloader['dataset']['target'],
)
test_evaluator = dict(type='ClassIoUMetric', format_only=True, output_dir='work_dirs/{name}/predictions')
"""


PILLOW = "interpolation='bicubic', backend='pillow'"  # as in the papers; only for 8 bits and three bands
AREA = "interpolation='area', backend='cv2'"


def config_text(
    out: Path,
    bases: str,
    network: str,
    looks: dict[str, Look],
    readings: dict[str, Reading],
    ids: ClassIds,
    val: Look | None,
    val_ids: ClassIds,
    method: str = 'adaptsegnet',
    keep_sizes: bool = False,
) -> str:
    """The text of the config for ``out``. ``bases`` is configs/_base_ as seen from there; looks and readings have the
    keys ``'source'`` and ``'target'``. ``keep_sizes``: see :func:`scales_of`.
    """
    source, target = looks['source'], looks['target']
    model, schedule, batch_size, multiple = NETWORKS[network]
    scales = scales_of(looks, network, keep_sizes)
    files = [f'models/{model}.py', f'schedules/{schedule}.py', 'default_runtime.py']
    width, height = scales['target']
    found = f'{source.looked_at} of {len(source.names)} source labels: {shares_of(source, ids)}'
    same = 'a pixel covers the same distance in both' if keep_sizes else 'both domains have about the same longer side'
    sizes = f'{same}. Found: {sizes_of(source)} in the source, {sizes_of(target)} in the target.'
    head = HEAD.format(
        method=NAMES[method],
        out=out,
        name=out.stem,
        source=source.images,
        target=target.images,
        bases=',\n    '.join(repr(osp.join(bases, file)) for file in files),
        shares=comment(f'Share of each class in {found}'),
        colours=''.join(f'    {name!r}: {rgb},\n' for name, rgb in zip(ids.ids, palette_of(list(ids.ids)))),
        others='other ids are ignored' if ids.given else 'other ids are an error',
        source_ids=id_map_of(ids),
        sizes=comment(f'Images are resized to (width, height); {sizes}'),
        source_scale=scales['source'],
        target_scale=(width, height),
        source_how=PILLOW if readings['source'].plain else AREA,
        target_how=PILLOW if readings['target'].plain else AREA,
        loads=loads_of(readings),
        augment=augment_of(readings['source'], method),
        batch_size=batch_size,
        source_dataset=dataset_of(source, ids, 12),
        target_dataset=dataset_of(target, None, 12),
    )
    tested = WITHOUT_LABELS.format(name=out.stem)
    if val:
        same = ', which are also used in training' if val.images == target.images else ''
        val_dataset = dataset_of(val, val_ids, 8)
        tested = WITH_LABELS.format(same=same, val_ids=id_map_of(val_ids), w=width, h=height, val_dataset=val_dataset)
    classes, images = len(ids.ids), images_of(network, looks, readings, method)
    if method == 'adaptsegnet':
        trained = MODEL[network].format(n=classes, images=images)
    else:
        size = tuple(map(min, scales['source'], scales['target']))
        trained = teacher_text(method, network, classes, images, readings['target'].count, size, multiple)
    return head + tested + trained + RATES.get(network, '')


def loads_of(readings: dict[str, Reading]) -> str:
    lines = [f'{domain}_load = {readings[domain].step()}' for domain in ('source', 'target')]
    if not all(reading.plain for reading in readings.values()):
        lines.insert(0, '# value_range is mapped to 0…255; channels lists the bands to use')
    return '\n'.join(lines)


def augment_of(source: Reading, method: str) -> str:
    """The lines that vary the source images at random. Self-training flips both domains where it crops them."""
    steps = ["dict(type='RandomFlip', prob=0.5)"] if method == 'adaptsegnet' else []
    if source.plain:  # other values and bands have no hue
        steps.append("dict(type='PhotoMetricDistortion')")
    why = (
        '# Random changes of the source images. They can gain more than a method does (docs/results.md)\n'
        if steps
        else ''
    )
    return f'{why}augment = [{", ".join(steps)}]\n'


def images_of(network: str, looks: dict[str, Look], readings: dict[str, Reading], method: str = 'adaptsegnet') -> str:
    """Settings of the network for images other than 8 bits and three bands; empty for those."""
    if all(reading.plain for reading in readings.values()):
        return ''
    (mean, std), count = mean_and_std(looks, readings), readings['target'].count
    if network != 'r101' and count == 3:
        mean, std = mean[::-1], std[::-1]  # the network gets RGB
    kind = 'SegDataPreProcessor' if count in (1, 3) else 'BandsPreProcessor'
    normalised = f'type={kind!r}, mean={mean}, std={std}'
    if network != 'r101' or method != 'adaptsegnet':  # as statements
        segmentor = '_base_.model.segmentor' if network == 'r101' else '_base_.model'
        found = f'{segmentor}.data_preprocessor.update({normalised})  # measured on the inspected images\n'
        return found + (f'{segmentor}.backbone.in_channels = {count}\n' if count != 3 else '')
    found = f'        data_preprocessor=dict({normalised}),  # measured on the inspected images\n'
    return found + (f'        backbone=dict(in_channels={count}),\n' if count != 3 else '')


def comment(text: str) -> str:
    return textwrap.fill(text, 118, initial_indent='# ', subsequent_indent='# ')


def sizes_of(look: Look) -> str:
    return ', '.join(f'{count} of {w}×{h}' for (w, h), count in look.sizes.most_common(3))


def shares_of(look: Look, ids: ClassIds) -> str:
    share = {name: look.pixels[i].sum() / look.pixels.sum() for name, i in ids.ids.items()}
    share['ignored'] = max(0.0, 1 - sum(share.values()))
    return ', '.join(f'{name} {100 * s:.1f} %' for name, s in share.items())


def scales_of(looks: dict[str, Look], network: str, keep_sizes: bool) -> dict[str, tuple[int, int]]:
    """Domain → (width, height) of its training images.

    Cameras see about the same angle along the longer side. So both domains get the same longer side, the smaller one:
    a car then has about the same size in both. ``keep_sizes`` leaves that out, for images in which a pixel covers the
    same distance.
    """
    multiple = NETWORKS[network][-1]
    scales = {domain: fit(look.size, multiple) for domain, look in looks.items()}
    longer = min(map(max, scales.values()))
    return scales if keep_sizes else {domain: fit(look.size, multiple, longer) for domain, look in looks.items()}


def fit(size: tuple[int, int], multiple: int = 1, longer: float = math.inf) -> tuple[int, int]:
    """(width, height) scaled down to LARGEST pixels and a longer side of ``longer``, in multiples of 8 or of
    ``multiple``. Keeps sizes that fit.
    """
    scale = min((LARGEST / (size[0] * size[1])) ** 0.5, longer / max(size))
    if scale >= 1 and not any(side % multiple for side in size):
        return size
    step, scale = max(multiple, 8 if multiple == 1 else 1), min(scale, 1)
    return tuple(max(math.ceil(64 / step), round(side * scale / step)) * step for side in size)


def id_map_of(ids: ClassIds) -> str:
    """One line per class."""
    lines = [', '.join(f'{i}: {name!r}' for i in of) for name, of in ids.ids.items()]
    ignored = [] if IGNORE in ids.every else [f'{IGNORE}: {IGNORE}']
    return '{\n' + ''.join(f'    {line},\n' for line in [*lines, *ignored]) + '}'


def dataset_of(look: Look, ids: ClassIds | None, indent: int) -> str:
    """The arguments for the location of the files and how to read them."""
    prefix = dict(img_path=look.images, **(dict(seg_map_path=look.labels) if look.labels else {}))
    lines = ["type='IdMappedDataset',", 'data_prefix=dict(', *(f'    {k}={v!r},' for k, v in prefix.items()), '),']
    lines.append(f'img_suffix={look.img_suffix!r},')
    if look.labels:
        lines.append(f'seg_map_suffix={look.seg_map_suffix!r},')
    if look.word:
        lines.append(f'pair={look.word!r},  # this word in an image name becomes that word in the label name')
    if look.label_channel:
        lines.append(f'label_channel={look.label_channel!r},')
    if look.without_label:
        lines.append(f"without_label='skip',  # {len(look.without_label)} images")
    if ids and ids.given:
        lines.append("others='ignore',")
    return '\n'.join(' ' * indent + line for line in lines)
