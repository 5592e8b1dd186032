"""Inspect your own data set, and write a commented config that trains on it.

``python tools/new_config.py own.py --source-images A --source-labels B --target-images C --classes road,car``

Nothing is converted or copied. See docs/own_data.md for a walk-through.
"""

from argparse import ArgumentParser, Namespace
from collections import Counter
from pathlib import Path

from ..errors import UserError
from ..files.config import bases_from
from ..files.whole import staged
from .class_ids import ClassIds
from .look import Look, Wanted, look_at
from .own_config import NETWORKS, config_text, scales_of, shares_of, sizes_of
from .own_method import NAMES
from .pairing import kinds, pair_option
from .reading import numbers, readings_of


def report(domain: str, look: Look, ids: ClassIds | None = None, allow_absent: bool = False) -> None:
    """Print what was found.

    Raises:
        UserError: a class does not occur; names have no ids, but the labels have more ids than there are names.
    """
    kind = 'pairs' if look.labels else 'images'
    where = paths(look.images, look.img_suffix) + (
        f' + {paths(look.labels, look.seg_map_suffix)}' if look.labels else ''
    )
    print(f'{domain}: {len(look.names)} {kind}, {where}')
    if look.word:
        flag = pair_option(look.option)
        print(f'  names: {look.word[0]!r} in an image is {look.word[1]!r} in its label (change it with {flag})')
    for missing, other in (
        (look.without_label, 'images without a label'),
        (look.without_image, 'labels without an image'),
    ):
        if missing:
            print(f'  skipped: {len(missing)} {other}, such as {missing[0]}')
    print(f'  sizes: {sizes_of(look)}')
    if not look.labels:
        report_kinds(look)
    if ids is None:
        return
    channel = f' (their {look.label_channel} channel)' if look.label_channel else ''
    print(f'  ids in {look.looked_at} labels{channel}: {", ".join(map(str, look.ids))}')
    if len(look.ids) == 2:
        low, high = look.ids
        print(f'  masks with two values: pass e.g. --classes background={low},foreground={high}')
    if 255 in look.ids and 255 not in ids.every:
        print('  255 is ignored; to use it, give it to a class, as in foreground=255')
    check_ids(look, ids, allow_absent)
    print(f'  share of the pixels: {shares_of(look, ids)}')


def report_scales(looks: dict[str, Look], scales: dict[str, tuple[int, int]], keep_sizes: bool) -> None:
    """Print the sizes of the training images, unless no image is resized."""
    if all(scales[domain] == look.size for domain, look in looks.items()):
        return
    sizes = ', '.join('{} {}×{}'.format(domain, *size) for domain, size in scales.items())
    if keep_sizes or len(set(map(max, (look.size for look in looks.values())))) == 1:
        print(f'resized to: {sizes}')
    else:
        print(f'resized to: {sizes}, so that things have about the same size in both. If a pixel covers the same')
        print('  distance in both (aerial images), pass --keep-sizes')


def paths(folder: str, suffix: str | tuple[str, ...]) -> str:
    ends = (suffix,) if isinstance(suffix, str) else suffix
    return ', '.join(f'{folder}/*{end}' for end in ends)


def report_kinds(look: Look) -> None:
    """Print the kinds of images if some may be masks."""
    files = [image for image, _ in look.files.values()]
    found = Counter({end: n for end, n in kinds(files).items() if n >= 0.1 * len(files)})
    if len({end.rpartition('.')[0] for end in found}) > 1 and sum(found.values()) >= 0.9 * len(files):
        told = ', '.join(f'*{end} ({count})' for end, count in found.most_common())
        print(f'  names end with {told}; all are used: choose one kind with --target-image-suffix')


def check_ids(look: Look, ids: ClassIds, allow_absent: bool) -> None:
    named = [i for i in look.ids if i != 255 or 255 in ids.every]
    if not ids.given and (beyond := [i for i in named if i not in ids.every]):
        raise UserError(
            f'{look.labels} contains the ids {look.ids}, but {ids.option} has {len(ids.ids)} classes, ids '
            f'0…{len(ids.ids) - 1}: add classes, or write the ids of each class, as in road=7,car=26+13, to ignore '
            f'{beyond}'
        )
    if not set(ids.every) & set(look.ids):
        raise UserError(
            f'{look.labels} contains the ids {look.ids}, but none of those in {ids.option}: write the id of each class'
        )
    absent = [name for name, of in ids.ids.items() if not look.pixels[of].any()]
    if absent and not allow_absent:
        example = ','.join(f'{name}={i}' for name, i in zip(ids.ids, look.ids))
        raise UserError(
            f'no pixel of {", ".join(absent)} in the {look.looked_at} labels inspected in {look.labels}, which contain '
            f'the ids {look.ids}: write the id of each class, as in {ids.option} {example}, inspect more labels with '
            '--look, or pass --allow-absent'
        )
    if absent:
        print(f'  note: no pixel of {", ".join(absent)} in these labels')


def add_folders(parser: ArgumentParser) -> None:
    """Arguments for the folders and for what to train: everything needed to write a config."""
    parser.add_argument('--source-images', required=True)
    parser.add_argument('--source-labels', required=True)
    parser.add_argument('--target-images', required=True)
    parser.add_argument('--target-val-images', help='images of --target-val-labels (default: --target-images)')
    parser.add_argument('--target-val-labels', help='labels of some target images, to compute the mIoU')
    parser.add_argument('--classes', required=True, help='road,car (ids 0, 1) or road=7,car=26+13; masks: bg=0,fg=255')
    parser.add_argument('--target-val-classes', help='the same, if --target-val-labels use other ids')
    for domain in ('source', 'target', 'target-val'):
        parser.add_argument(
            f'--{domain}-image-suffix', help='end of the image names, e.g. _sat.jpg; other files are skipped'
        )
    for domain in ('source', 'target-val'):
        parser.add_argument(f'--{domain}-label-suffix', help='end of the label names, e.g. _mask.png')
    parser.add_argument('--pair', metavar='WORD=OTHER', help='rgb=sem: label names have sem where image names have rgb')
    parser.add_argument('--target-val-pair', metavar='WORD=OTHER', help='the same, for --target-val-labels')
    for domain in ('source', 'target'):
        parser.add_argument(f'--{domain}-value-range', metavar='LO,HI', help='values to map to 0 and 255')
        parser.add_argument(f'--{domain}-channels', metavar='I,J,…', help='bands to use, counted from 0')
    parser.add_argument(
        '--allow-unpaired', action='store_true', help='skip images without a label and labels without an image'
    )
    parser.add_argument('--allow-absent', action='store_true', help='allow classes that do not occur in any label')
    parser.add_argument(
        '--network', choices=list(NETWORKS), default='r101', help='small: from scratch, for a CPU; dinov2: ViT-B'
    )
    parser.add_argument(
        '--method', choices=list(NAMES), default='adaptsegnet', help='dacs, daformer and mic use a mean teacher'
    )
    parser.add_argument(
        '--keep-sizes',
        action='store_true',
        help='a pixel covers the same distance in both domains (aerial images): do not give them the same longer side',
    )
    parser.add_argument('--look', type=int, default=200, help='number of images and labels to inspect')


def parse() -> Namespace:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', type=Path, help='the file to write, e.g. configs/own/mine.py; never overwritten')
    add_folders(parser)
    args = parser.parse_args()
    if args.config.suffix != '.py':
        raise UserError(f'{args.config} is not a Python file: pass {args.config}.py')
    if args.config.exists():
        raise UserError(f'{args.config} exists: choose another name, or remove it')
    return args


def classes_of(args: Namespace) -> tuple[ClassIds, ClassIds]:
    """The classes of the source, and those of the labelled target images."""
    ids = ClassIds.parse(args.classes, '--classes', least=2)
    val_ids = ClassIds.parse(args.target_val_classes, '--target-val-classes') if args.target_val_classes else ids
    if not val_ids.ids.keys() & ids.ids.keys():
        raise UserError(
            f'--classes ({", ".join(ids.ids)}) and --target-val-classes ({", ".join(val_ids.ids)}) have no common '
            'class: use the same names in both'
        )
    if unknown := [name for name in val_ids.ids if name not in ids.ids]:
        raise UserError(f'--target-val-classes has {unknown[0]!r}: it must be one of --classes, {", ".join(ids.ids)}')
    return ids, val_ids


def word_of(text: str | None, option: str) -> tuple[str, str] | None:
    if text is None:
        return None
    word, equals, other = text.partition('=')
    if not equals or word == other:
        raise UserError(f'{option} {text!r}: write WORD=OTHER, as in rgb=sem for a_rgb_1.png and a_sem_1.png')
    return word, other


def main() -> None:
    args = parse()
    write_config(args, args.config)


def write_config(args: Namespace, path: Path) -> None:
    """Inspect the folders of :func:`add_folders`, print what they contain, and write the config to ``path``.

    Raises:
        UserError: folders, pairs, classes or options do not fit together.
    """
    if args.look < 1:
        raise UserError(f'--look {args.look} must be at least 1')
    ids, val_ids = classes_of(args)
    word, unpaired = word_of(args.pair, '--pair'), args.allow_unpaired
    wanted = Wanted('--source', args.source_image_suffix, args.source_label_suffix, word, unpaired)
    source = look_at(args.source_images, args.source_labels, wanted, args.look)
    report('source', source, ids, args.allow_absent)
    target = look_at(args.target_images, wanted=Wanted('--target', args.target_image_suffix), limit=args.look)
    report('target', target)
    val = None
    if args.target_val_labels:
        images, some = args.target_val_images or args.target_images, not args.target_val_images
        suffix = args.target_val_image_suffix or (args.target_image_suffix if some else None)
        word = word_of(args.target_val_pair, '--target-val-pair')
        wanted = Wanted('--target-val', suffix, args.target_val_label_suffix, word, unpaired, some)
        val = look_at(images, args.target_val_labels, wanted, args.look)
        report('target, validation', val, val_ids, args.allow_absent)
        target.held.add(val.held)

    looks = dict(source=source, target=target)
    ranges = {d: numbers(getattr(args, f'{d}_value_range'), f'--{d}-value-range') for d in looks}
    channels = {d: numbers(getattr(args, f'{d}_channels'), f'--{d}-channels', int) for d in looks}
    readings = readings_of(looks, ranges, channels)
    bases = bases_from(path.parent)
    text = config_text(path, bases, args.network, looks, readings, ids, val, val_ids, args.method, args.keep_sizes)
    report_scales(looks, scales_of(looks, args.network, args.keep_sizes), args.keep_sizes)
    path.parent.mkdir(parents=True, exist_ok=True)
    with staged(path) as file:
        file.write_text(text, encoding='utf-8')
    print(f'wrote {path}')
