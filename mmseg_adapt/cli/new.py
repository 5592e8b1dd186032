"""Look at a data set of your own, and write a commented config that trains on it.

``python tools/new_config.py own.py --source-images A --source-labels B --target-images C --classes road,car``

Nothing is converted or copied. The walk through it: docs/own_data.md.
"""

import os
from argparse import ArgumentParser
from pathlib import Path

from ..errors import UserError
from ..files.whole import staged
from .class_ids import ClassIds
from .look import Look, look_at
from .own_config import NETWORKS, config_text, shares_of, sizes_of

BASES = Path(__file__).resolve().parents[2] / 'configs' / '_base_'


def report(domain: str, look: Look, ids: ClassIds | None = None) -> None:
    """Print what was found.

    Raises:
        UserError: no class occurs; names without ids, where the labels hold more ids than there are names.
    """
    kind = 'pairs' if look.labels else 'images'
    where = f'{look.images}/*{look.img_suffix}' + (f' + {look.labels}/*{look.seg_map_suffix}' if look.labels else '')
    print(f'{domain}: {len(look.names)} {kind}, {where}')
    for missing, other in ((look.without_label, 'images without a label'), (look.without_image, 'labels of no image')):
        if missing:
            print(f'  left out: {len(missing)} {other}, such as {missing[0]}')
    print(f'  sizes: {sizes_of(look)}')
    if ids is None:
        return
    channel = f' (their {look.label_channel} channel)' if look.label_channel else ''
    print(f'  ids in {look.looked_at} labels{channel}: {", ".join(map(str, look.ids))}')
    check_ids(look, ids)
    print(f'  share of the pixels: {shares_of(look, ids)}')
    if absent := [name for name, of in ids.ids.items() if not look.pixels[of].any()]:
        print(f'  note: no pixel of {", ".join(absent)} in these labels')


def check_ids(look: Look, ids: ClassIds) -> None:
    if not ids.given and (beyond := [i for i in look.ids if i not in ids.every]):
        raise UserError(
            f'{look.labels} holds the ids {look.ids}, but {ids.option} names {len(ids.ids)} classes, ids '
            f'0…{len(ids.ids) - 1}: name more, or give the classes their ids, as in road=7,car=26+13, and '
            f'{beyond} will be ignored'
        )
    if not set(ids.every) & set(look.ids):
        raise UserError(
            f'{look.labels} holds the ids {look.ids}, and none of those that {ids.option} names: give each class its id'
        )


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', type=Path, help='the file to write, e.g. configs/own/mine.py; never overwritten')
    parser.add_argument('--source-images', required=True)
    parser.add_argument('--source-labels', required=True)
    parser.add_argument('--target-images', required=True)
    parser.add_argument('--target-val-images', help='images of --target-val-labels (default: --target-images)')
    parser.add_argument('--target-val-labels', help='labels of some target images, to print an mIoU')
    parser.add_argument('--classes', required=True, help='road,car (ids 0, 1) or road=7,car=26+13')
    parser.add_argument('--target-val-classes', help='the same, where the ids of --target-val-labels are others')
    parser.add_argument('--source-label-suffix', help='end of the label names, where an image has several labels')
    parser.add_argument('--target-val-label-suffix')
    parser.add_argument('--network', choices=list(NETWORKS), default='r101', help='small: from scratch, for a CPU')
    parser.add_argument('--look', type=int, default=200, help='how many images and labels to open')
    args = parser.parse_args()
    if args.config.suffix != '.py':
        raise UserError(f'{args.config}: a config is a Python file: name {args.config}.py')
    if args.look < 1:
        raise UserError(f'--look {args.look}: open at least one image')
    if args.config.exists():
        raise UserError(f'{args.config} exists: choose another name, or remove it')
    ids = ClassIds.parse(args.classes, '--classes')
    val_ids = ClassIds.parse(args.target_val_classes, '--target-val-classes') if args.target_val_classes else ids
    if not val_ids.ids.keys() & ids.ids.keys():
        raise UserError(
            f'--classes ({", ".join(ids.ids)}) and --target-val-classes ({", ".join(val_ids.ids)}) share no class'
        )
    if unknown := [name for name in val_ids.ids if name not in ids.ids]:
        raise UserError(f'--target-val-classes names {unknown[0]!r}, --classes only {", ".join(ids.ids)}')

    source = look_at(args.source_images, args.source_labels, args.source_label_suffix, args.look)
    report('source', source, ids)
    target = look_at(args.target_images, limit=args.look)
    report('target', target)
    val = None
    if args.target_val_labels:
        images = args.target_val_images or args.target_images
        val = look_at(images, args.target_val_labels, args.target_val_label_suffix, args.look)
        report('target, validation', val, val_ids)

    bases = os.path.relpath(BASES, args.config.resolve().parent)
    text = config_text(args.config, bases, args.network, source, ids, target, val, val_ids)
    args.config.parent.mkdir(parents=True, exist_ok=True)
    with staged(args.config) as file:
        file.write_text(text, encoding='utf-8')
    print(f'wrote {args.config}')
