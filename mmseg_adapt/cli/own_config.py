"""The config of a data set of one's own, as text (``tools/new_config.py``)."""

from __future__ import annotations

import os.path as osp
import textwrap
from pathlib import Path

from ..datasets.id_mapped import IGNORE
from .class_ids import ClassIds, palette_of
from .look import Look

NETWORKS = {  # name → model and schedule of configs/_base_, images of each domain per iteration
    'r101': ('adaptsegnet_multilevel_r101', 'adaptsegnet', 1),
    'small': ('deeplabv2_small', 'demo', 4),
}
LARGEST = 1280 * 720  # pixels of a training image: larger ones are scaled down
MODEL = {
    'r101': """
model = dict(  # AdaptSegNet, multi-level: D looks at the predictions of two levels
    segmentor=dict(decode_head=dict(num_classes={n}), auxiliary_head=dict(num_classes={n})),
    discriminator=dict(decode=dict(in_channels={n}), aux=dict(in_channels={n})),
    lambda_adv=dict(decode=0.001, aux=0.0002),
)
""",
    'small': """
_base_.model.decode_head.num_classes = {n}
model = dict(  # AdaptSegNet, single-level, on a small network without pre-training
    _delete_=True,
    type='AdaptSegNet',
    segmentor=_base_.model,
    discriminator=dict(decode=dict(type='OutputSpaceDiscriminator', in_channels={n}, base_channels=16)),
    lambda_adv=dict(decode=0.03),
)
""",
}
HEAD = """\
# AdaptSegNet on data of your own. Written by tools/new_config.py, yours to edit.
# Source, labelled: {source}. Target, images only: {target}.
#   python tools/analysis/browse_data.py {out}
#   python tools/train.py {out}
#   python tools/test.py {out} work_dirs/{name}/iter_….pth
_base_ = [
    {bases},
]
{shares}
colours = {{  # of the pictures: red, green, blue
{colours}}}
metainfo = dict(classes=tuple(colours), palette=list(colours.values()))
# id in the label files → class; {others}
source_ids = {source_ids}

{sizes}
source_resize = dict(type='Resize', scale={source_scale}, keep_ratio=False, interpolation='bicubic', backend='pillow')
target_resize = dict(source_resize, scale={target_scale})
source_pipeline = [dict(type='LoadImage'), dict(type='LoadLabels'), source_resize, dict(type='PackSegInputs')]
target_pipeline = [dict(type='LoadImage'), target_resize, dict(type='PackSegInputs')]
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
        target=dict(  # no labels: they are never read in training
{target_dataset}
            metainfo=metainfo,
            pipeline=target_pipeline,
        ),
    ),
)
"""
WITH_LABELS = """\

# Validation on labelled target images{same}; its mIoU chooses nothing, it is only printed.
val_ids = {val_ids}
test_pipeline = [dict(type='LoadImage'), target_resize, dict(type='LoadLabels'), dict(type='PackSegInputs')]
tta_pipeline = [  # tools/test.py --tta
    dict(type='LoadImage'),
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

# No labelled target images: nothing is validated; tools/test.py writes a PNG of class indices per target image.
val_cfg = None
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=train_dataloader['dataset']['target'],
)
test_evaluator = dict(type='ClassIoUMetric', format_only=True, output_dir='work_dirs/{name}/predictions')
"""


def config_text(
    out: Path, bases: str, network: str, source: Look, ids: ClassIds, target: Look, val: Look | None, val_ids: ClassIds
) -> str:
    """The config that will stand in ``out``; ``bases``: configs/_base_ as seen from there."""
    model, schedule, batch_size = NETWORKS[network]
    files = [f'models/{model}.py', f'schedules/{schedule}.py', 'default_runtime.py']
    width, height = fit(target.size)
    found = f'{source.looked_at} of {len(source.names)} source labels: {shares_of(source, ids)}'
    sizes = f'Found: {sizes_of(source)} in the source, {sizes_of(target)} in the target.'
    head = HEAD.format(
        out=out,
        name=out.stem,
        source=source.images,
        target=target.images,
        bases=',\n    '.join(repr(osp.join(bases, file)) for file in files),
        shares=comment(f'Share of each class in {found}'),
        colours=''.join(f'    {name!r}: {rgb},\n' for name, rgb in zip(ids.ids, palette_of(list(ids.ids)))),
        others='another id is ignored' if ids.given else 'another id is an error',
        source_ids=id_map_of(ids),
        sizes=comment(f'Images are resized to (width, height). {sizes}'),
        source_scale=fit(source.size),
        target_scale=(width, height),
        batch_size=batch_size,
        source_dataset=dataset_of(source, ids, 12),
        target_dataset=dataset_of(target, None, 12),
    )
    tested = WITHOUT_LABELS.format(name=out.stem)
    if val:
        same = ', which are among those of training' if val.images == target.images else ''
        val_dataset = dataset_of(val, val_ids, 8)
        tested = WITH_LABELS.format(same=same, val_ids=id_map_of(val_ids), w=width, h=height, val_dataset=val_dataset)
    return head + tested + MODEL[network].format(n=len(ids.ids))


def comment(text: str) -> str:
    return textwrap.fill(text, 118, initial_indent='# ', subsequent_indent='# ')


def sizes_of(look: Look) -> str:
    return ', '.join(f'{count} of {w}×{h}' for (w, h), count in look.sizes.most_common(3))


def shares_of(look: Look, ids: ClassIds) -> str:
    share = {name: look.pixels[i].sum() / look.pixels.sum() for name, i in ids.ids.items()}
    share['ignored'] = max(0.0, 1 - sum(share.values()))
    return ', '.join(f'{name} {100 * s:.1f} %' for name, s in share.items())


def fit(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) scaled down to LARGEST pixels and to multiples of 8; sizes that fit stay as they are."""
    scale = (LARGEST / (size[0] * size[1])) ** 0.5
    return size if scale >= 1 else tuple(max(64, round(side * scale / 8) * 8) for side in size)


def id_map_of(ids: ClassIds) -> str:
    """One line per class."""
    lines = [', '.join(f'{i}: {name!r}' for i in of) for name, of in ids.ids.items()]
    return '{\n' + ''.join(f'    {line},\n' for line in [*lines, f'{IGNORE}: {IGNORE}']) + '}'


def dataset_of(look: Look, ids: ClassIds | None, indent: int) -> str:
    """The arguments that say where the files are and how they are read."""
    prefix = dict(img_path=look.images, **(dict(seg_map_path=look.labels) if look.labels else {}))
    lines = ["type='IdMappedDataset',", 'data_prefix=dict(', *(f'    {k}={v!r},' for k, v in prefix.items()), '),']
    lines.append(f'img_suffix={look.img_suffix!r},')
    if look.labels:
        lines.append(f'seg_map_suffix={look.seg_map_suffix!r},')
    if look.label_channel:
        lines.append(f'label_channel={look.label_channel!r},')
    if look.without_label:
        lines.append(f"without_label='skip',  # {len(look.without_label)} images")
    if ids and ids.given:
        lines.append("others='ignore',")
    return '\n'.join(' ' * indent + line for line in lines)
