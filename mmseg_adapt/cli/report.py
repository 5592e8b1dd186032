"""The page of a run: ``python tools/report.py WORK_DIR [--baseline WORK_DIR]`` writes WORK_DIR/report.html.

Verdict, the two domains, every class, the training and its health, the snapshots, the target images to look at, the
recipe. One file that opens without a server. Labels, a baseline and the end of the run may be missing.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path


def parse(argv: list[str] | None = None) -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('work_dir', help='work dir of a training run')
    parser.add_argument('--baseline', metavar='WORK_DIR', help='work dir of a source-only run to compare with')
    parser.add_argument('--target', metavar='FOLDER', help="target images (default: the config's own target)")
    parser.add_argument('--images', type=int, default=40, help='target images to predict (default: 40)')
    parser.add_argument('--out', type=Path, help='the file to write (default: WORK_DIR/report.html, replaced)')
    parser.add_argument('--unsafe', action='store_true', help='load checkpoints that need code to be loaded')
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
        raise UserError(f'{args.work_dir} does not exist: name the work dir of a training run')
    out = args.out or Path(args.work_dir, 'report.html')
    with staged(out, overwrite=True) as file:
        write_report(args.work_dir, Path(file), args.baseline, args.images, args.target)
    print(f'wrote {out}')
