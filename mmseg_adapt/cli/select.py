"""Choose a snapshot without labels: ``python tools/select_snapshot.py WORK_DIR…``.

Predicts a sample of the target's images with every snapshot (iter_*.pth) of the work dirs and prints, in percent,

    agree   agreement with the pool: mIoU with the labels of the snapshots' average (EnsV)
    flip    flip consistency: mIoU with the labels of the mirror images
    mix     ClassMix consistency: does a mixture of two images get the same labels as the two images?
    H       mean entropy           IM   InfoMax           SND   soft neighbourhood density (not in percent)
    JS      divergence of the predicted class shares from the source's
    source  mIoU on source images

Then it prints the pick (*) and what it means. docs/choosing.md explains how far to trust each score.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path

COLUMNS = {
    'agreement': ('agree', 100),
    'flip': ('flip', 100),
    'classmix': ('mix', 100),
    'entropy': ('H', 100),
    'infomax': ('IM', 100),
    'snd': ('SND', 1),
    'divergence': ('JS', 100),
    'source': ('source', 100),
    'miou': ('mIoU', 100),
}


def parse(argv: list[str] | None = None) -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='work dirs of training runs, or checkpoints')
    parser.add_argument('--target', metavar='FOLDER', help="target images (default: the config's own target)")
    parser.add_argument('--images', type=int, default=100, help='number of target images to predict (default: 100)')
    parser.add_argument(
        '--with-labels', action='store_true', help='also compute the true mIoU on the labelled test images'
    )
    parser.add_argument('--part', help="'teacher' scores the teachers instead of the segmentors")
    parser.add_argument('--device', help='cuda, cuda:1 or cpu (default: the GPU if there is one)')
    parser.add_argument('--json', metavar='FILE', help='also write the scores to this file')
    parser.add_argument('--overwrite', action='store_true', help='replace the file of --json if it exists')
    parser.add_argument('--unsafe', action='store_true', help='load checkpoints that execute code when loaded')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)

    from rich.progress import track

    from ..files.whole import staged
    from ..selection.compare import compare
    from ..weights.load import allow_unsafe

    if args.unsafe:
        allow_unsafe()
    found = compare(
        args.work_dirs, args.target, args.images, args.with_labels, args.part, args.device,
        progress=lambda snapshots: track(snapshots, 'snapshots', transient=True),
    )  # fmt: skip
    print('\n'.join([*found.notes, *table(found), *found.words(), *(truth(found) if args.with_labels else ())]))
    if args.json:
        rows = [dict(score.as_dict(), run=run) for score, run in zip(found.scores, found.runs)]
        content = dict(images=found.images, pick=found.scores[found.pick()].name, words=found.words(), scores=rows)
        with staged(args.json, args.overwrite) as file:
            Path(file).write_text(json.dumps(content, indent=1))
        print(f'wrote {args.json}')


def table(found) -> list[str]:
    """The scores, one line per snapshot, without empty columns."""
    columns = {key: column for key, column in COLUMNS.items() if any(_known(getattr(s, key)) for s in found.scores)}
    width, best = max(len(s.name) for s in found.scores), found.pick()
    lines = [' ' * (width + 2) + ''.join(f'{title:>7}' for title, _ in columns.values())]
    for number, score in enumerate(found.scores):
        values = (scale * getattr(score, key) for key, (_, scale) in columns.items())
        cells = ''.join(f'{value:7.1f}' if _known(value) else f'{"–":>7}' for value in values)
        lines.append(f'{"*" if number == best else " "} {score.name:{width}}{cells}')
    return lines


def truth(found) -> list[str]:
    """How good the pick and each score are according to the labels."""
    from ..selection.rule import BETTER
    from ..selection.scores import rank_correlation

    mious = [score.miou for score in found.scores]
    best, chosen = max(range(len(mious)), key=mious.__getitem__), found.pick()
    lines = [
        f'with labels: the best is {found.scores[best].name}; the pick is {100 * (mious[best] - mious[chosen]):.1f} '
        f'mIoU below it, the last {100 * (mious[best] - mious[-1]):.1f}'
    ]
    correlations = {
        COLUMNS[key][0]: rank_correlation([(1 if more else -1) * getattr(s, key) for s in found.scores], mious)
        for key, more in BETTER.items()
    }
    shown = ', '.join(f'{name} {value:+.2f}' for name, value in correlations.items() if _known(value))
    return [*lines, f'rank correlation with the mIoU: {shown}'] if shown else lines


def _known(value: float) -> bool:
    return value == value
