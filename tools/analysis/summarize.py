"""What runs reached, and how sure that is: last, picked and best snapshot, over seeds.

    python tools/analysis/summarize.py work_dirs/real/*/seed* [--classes] [--json docs/results/NAME.jsonl]
    python tools/analysis/summarize.py --from docs/results/NAME.jsonl [--classes]

Runs of one config that differ only in the seed, and in where files lie, share a row: mean ± sample standard deviation
over runs. Every other difference makes a row of its own, named after the folder of its first run. "picked" is the
snapshot with the highest InfoMax, which ``LabelFreeHook`` logs: the rule that ``select`` follows within a run.
"best*" is the best snapshot by validation labels, which an unsupervised method does not have. ``--json`` keeps one line
of scalars per run, from which ``--from`` prints the same tables, and ``pages.py`` writes them into the docs.
"""

import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from markdown_table import markdown

from mmseg_adapt.errors import UserError, one_sentence
from mmseg_adapt.files.config import config_of
from mmseg_adapt.log.scalars import scalars_of
from mmseg_adapt.runs.work_dir import VOLATILE

PLACES = {*VOLATILE, 'randomness', 'checkpoint', 'data_root', 'experiment_name'}  # differ within a row
SCORES = dict(infomax='infomax', flip='flip_consistency')  # stored → logged

NOTE = 'mIoU in percent, ± over runs; picked: without labels; best*: by validation labels; minutes: of training'


def settings(value):
    """A config without the keys in which runs of one row may differ."""
    if isinstance(value, dict):
        return {key: settings(part) for key, part in value.items() if key not in PLACES}
    return [settings(part) for part in value] if isinstance(value, (list, tuple)) else value


def rows_of(work_dirs: list[Path]) -> dict[str, list[Path]]:
    """Name of a row → its runs."""
    groups: list[tuple[str, dict, list[Path]]] = []
    for work_dir in work_dirs:
        config = next(iter(sorted(work_dir.glob('*.py'))), None)
        name = config.stem if config else work_dir.name
        wanted = settings(config_of(config).to_dict()) if config else {}
        runs = next((runs for other, theirs, runs in groups if (other, theirs) == (name, wanted)), None)
        if runs is None:
            groups.append((name, wanted, runs := []))
        runs.append(work_dir)
    names = [name for name, *_ in groups]
    return {name if names.count(name) == 1 else f'{name} ({runs[0]})': runs for name, _, runs in groups}


def validations(work_dir: Path) -> list[dict]:
    """Every validation of a run in the order of iterations; of an iteration that a resumed run repeated, the newest.

    Raises:
        UserError: If the folder contains no validated run.
    """
    rows: dict[int, dict] = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for row in scalars_of(file):
            if row.keys() & {'mIoU', *SCORES.values()}:
                rows[row['step']] = rows.get(row['step'], {}) | row
    rows = {step: row for step, row in rows.items() if 'mIoU' in row}
    if not rows:
        raise UserError(f'{work_dir} contains no validated run: pass work dirs of tools/train.py')
    return [rows[step] for step in sorted(rows)]


def summary_of(work_dir: Path) -> dict:
    """One run: mIoU, IoU of the classes and label-free scores of every snapshot, and its training time in minutes."""
    snapshots = [
        dict(
            iteration=row['step'],
            mIoU=row['mIoU'],
            **{key: row[name] for key, name in SCORES.items() if name in row},
            classes={k.removeprefix('IoU.'): v for k, v in row.items() if k.startswith('IoU.')},
        )
        for row in validations(work_dir)
    ]
    return dict(work_dir='/'.join(work_dir.parts[-2:]), minutes=minutes_of(work_dir), snapshots=snapshots)


def minutes_of(work_dir: Path) -> float | None:
    """Training alone: the iterations times the mean time of those that were logged."""
    rows = [row for file in work_dir.glob('*/vis_data/scalars.json') for row in scalars_of(file)]
    times = [row['time'] for row in rows if 'time' in row and 'mIoU' not in row]
    last = max((row['step'] for row in rows if 'step' in row), default=0)
    return round(float(np.mean(times)) * last / 60, 2) if times else None


def last(run: dict) -> dict:
    return run['snapshots'][-1]


def picked(run: dict) -> dict | None:
    """The first snapshot with the highest InfoMax; None where it was not logged for every snapshot."""
    snapshots = run['snapshots']
    return max(snapshots, key=lambda s: s['infomax']) if all('infomax' in s for s in snapshots) else None


def best(run: dict) -> dict:
    return max(run['snapshots'], key=lambda s: s['mIoU'])


SNAPSHOTS = {'last': last, 'picked': picked}  # that tables compare


def over_runs(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return '–'
    return f'{np.mean(known):.1f}' + (f' ± {np.std(known, ddof=1):.1f}' if len(known) > 1 else '')


def miou_table(rows: dict[str, list[dict]], tail: int):
    """One line per row: mIoU of the last, the picked and the best snapshot, and how much the last ones differ."""

    def line(name: str, runs: list[dict]) -> list:
        tails = [[s['mIoU'] for s in run['snapshots'][-tail:]] for run in runs]
        spread = np.mean([np.std(values, ddof=1) if len(values) > 1 else 0.0 for values in tails])
        return [
            name,
            len(runs),
            over_runs(last(run)['mIoU'] for run in runs),
            over_runs((picked(run) or {}).get('mIoU') for run in runs),
            over_runs(best(run)['mIoU'] for run in runs),
            over_runs(np.mean(values) for values in tails),
            f'{spread:.1f}',
            over_runs(run.get('minutes') for run in runs),
        ]

    header = ['config', 'runs', 'last', 'picked', 'best*', f'mean of last {tail}', 'spread within a run', 'minutes']
    return markdown(header, [line(name, runs) for name, runs in rows.items()])


def class_table(rows: dict[str, list[dict]], snapshot=last):
    """One line per row: IoU of every class in one snapshot of each run."""
    classes = list(last(next(iter(rows.values()))[0])['classes'])

    def line(name: str, runs: list[dict]) -> list:
        found = [(snapshot(run) or {}).get('classes', {}) for run in runs]
        return [name, *(over_runs(classes.get(c) for classes in found) for c in classes)]

    return markdown(['config', *classes], [line(name, runs) for name, runs in rows.items()])


def tables_of(rows: dict[str, list[dict]], tail: int = 3, classes: bool = True) -> list[str]:
    by_class = [f'{name}:\n\n{class_table(rows, of)}' for name, of in SNAPSHOTS.items()] if classes else []
    return [str(miou_table(rows, tail)), *by_class]


def stored(file: Path) -> dict[str, list[dict]]:
    """The rows of a file that ``--json`` wrote.

    Raises:
        UserError: If the file does not exist, or ``--json`` did not write it.
    """
    rows: dict[str, list[dict]] = {}
    try:
        for line in file.read_text().splitlines():
            run = json.loads(line)
            rows.setdefault(run.pop('row'), []).append(run)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f'{file} cannot be read ({type(error).__name__}): pass a file that --json wrote') from None
    return rows


def main() -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('work_dirs', nargs='*', type=Path, metavar='WORK_DIR')
    parser.add_argument('--last', type=int, default=3, help='how many of the last snapshots to average (default: 3)')
    parser.add_argument('--classes', action='store_true', help='also print the IoU of every class')
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write one line of JSON per run')
    parser.add_argument(
        '--from', dest='stored', type=Path, metavar='FILE', help='read a file of --json instead of work dirs'
    )
    args = parser.parse_args()
    if args.last < 1:
        raise UserError(f'--last {args.last} must be at least 1')
    if bool(args.work_dirs) == bool(args.stored):
        raise UserError('pass work dirs, or a file with --from')
    if args.stored:
        rows = stored(args.stored)
    else:
        rows = {name: [summary_of(run) for run in runs] for name, runs in rows_of(args.work_dirs).items()}
    print('\n\n'.join([*tables_of(rows, args.last, args.classes), NOTE]))
    if args.json:
        lines = [json.dumps(dict(row=name, **run), ensure_ascii=False) for name, runs in rows.items() for run in runs]
        args.json.write_text('\n'.join(lines) + '\n')
        print(f'wrote {args.json}', file=sys.stderr)


if __name__ == '__main__':
    with one_sentence():
        main()
