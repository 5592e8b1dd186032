"""Report on a run: ``python tools/report.py WORK_DIR [--baseline WORK_DIR]`` writes WORK_DIR/report.html.

The report contains a verdict, the two domains, every class, the training and its health, the snapshots, target images
to inspect, and the recipe. It is one file that needs no server. It works without labels, without a baseline and for an
unfinished run.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path


def parse(argv: list[str] | None = None) -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('work_dir', help='work dir of a training run')
    parser.add_argument('--baseline', metavar='WORK_DIR', help='work dir of a source-only run, for comparison')
    parser.add_argument('--target', metavar='FOLDER', help="target images (default: the config's own target)")
    parser.add_argument('--images', type=int, default=40, help='number of target images to predict (default: 40)')
    parser.add_argument('--out', type=Path, help='file to write (default: WORK_DIR/report.html, which is replaced)')
    parser.add_argument('--unsafe', action='store_true', help='load checkpoints that execute code when loaded')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)

    from ..errors import UserError
    from ..files.whole import staged
    from ..report.report import write_report
    from ..weights.load import allow_unsafe

    if args.unsafe:
        allow_unsafe()
    if not Path(args.work_dir).is_dir():
        raise UserError(f'{args.work_dir} does not exist: pass the work dir of a training run')
    out = args.out or Path(args.work_dir, 'report.html')
    with staged(out, overwrite=True) as file:
        write_report(args.work_dir, Path(file), args.baseline, args.images, args.target)
    print(f'wrote {out}')
