"""How far apart are two folders of images? ``python tools/gap.py SOURCE TARGET``, before any training.

Prints whether a linear model can tell them apart, their brightness, contrast, sharpness and sizes, the kernel distance,
and the target images nearest to and farthest from the source. With --encoder (a config with an aan section) or --model
(config and checkpoint of a trained segmentor), the features come from a network; a segmentor also shows which classes
it predicts in each folder. If you pass the same folder twice, it is split in two: the result then shows only chance.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter

KNOWN = (  # (pair, error of the linear model in percent, KID), with pixel features only; docs/choosing.md
    ('a set split in two', 49.5, -11),
    ('training and validation cities of Cityscapes', 38.2, 172),
    ('Cityscapes and IDD', 0.7, 3145),
    ('CARLA and CamVid', 0.0, 3498),
    ('CARLA and Cityscapes', 0.0, 4582),
    ("the demo's two domains", 0.0, 4759),
)


def parse(argv: list[str] | None = None) -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('source', help='a folder of images')
    parser.add_argument('target', help='another folder of images')
    parser.add_argument(
        '--images', type=int, default=300, help='images to use from each folder, evenly spaced (default: 300)'
    )
    parser.add_argument(
        '--encoder', metavar='CONFIG', help='compare with the encoder in the aan section of this config'
    )
    parser.add_argument('--model', nargs=2, metavar=('CONFIG', 'CHECKPOINT'), help='compare with a trained segmentor')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)

    from ..errors import UserError
    from ..report.folders import LEAST, gap_between
    from ..report.networks import EncoderView, SegmentorView

    if args.images < LEAST:
        raise UserError(f'--images {args.images} is too small: use at least {LEAST}')
    if args.encoder and args.model:
        raise UserError('--encoder and --model cannot be combined: remove one of them')
    encode = EncoderView(args.encoder) if args.encoder else SegmentorView(*args.model) if args.model else None
    found = gap_between(args.source, args.target, args.images, encode)
    print('\n'.join([*lines(found), *scale(encode), *(shares(found) if args.model else ())]))


def lines(found) -> list[str]:
    """The verdict and its reasons."""
    import numpy as np

    source, target = found.source, found.target
    said = [f'{len(source.files)} source and {len(target.files)} target images', found.told.words()]
    said.append(f'kernel distance (KID × 1000): {found.kid[0]:.1f} ± {found.kid[1]:.1f}')
    said.append(f'{"":12}{"source":>18}{"target":>18}')
    for name in source.numbers:
        cells = (np.quantile(s.numbers[name], (0.05, 0.5, 0.95)) for s in (source, target))
        digits = 2 if name == 'sharpness' else 0
        texts = (' '.join(f'{v:.{digits}f}' for v in cell) for cell in cells)
        said.append(f'{name:12}' + ''.join(f'{text:>18}' for text in texts))
    said.append('(5 %, median, 95 % of the images)')
    if found.grams:
        said.append('Gram distance: ' + ', '.join(f'{layer} {value:.2f}' for layer, value in found.grams.items()))
    said.append('nearest to the source: ' + ', '.join(map(str, found.nearest())))
    said.append('farthest from it: ' + ', '.join(map(str, found.farthest())))
    return said


def scale(encode) -> list[str]:
    """Known pairs with the same features. There are none for features of a network."""
    if encode is not None or not KNOWN:
        return []
    pairs = '; '.join(f'{pair} {100 - error:.1f} % (KID {kid:.0f})' for pair, error, kid in KNOWN)
    return [f'for comparison, told apart: {pairs}']


def shares(found) -> list[str]:
    """The classes that the model predicts in each folder."""
    said = [f'{"predicted":16}{"source":>8}{"target":>8}']
    for name, share in found.source.shares.items():
        said.append(f'{name:16}{100 * share:7.1f}%{100 * found.target.shares[name]:7.1f}%')
    return said
