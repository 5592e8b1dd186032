"""What a run reached, and how sure that is: last, mean of the last k, best, over snapshots and over seeds.

``python tools/analysis/summarize.py work_dirs/real/*/seed* [--last 3] [--json results.json]``

Runs of one config that differ only in the seed, and in where files lie, share a row: mean ± sample standard deviation
over runs. What else differs gives a row of its own, with the folder of its first run. "best*" is the best snapshot by
validation labels, which an unsupervised method does not have: an oracle's choice.
"""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from prettytable import PrettyTable, TableStyle

from mmseg_adapt.errors import UserError, one_sentence
from mmseg_adapt.files.config import config_of
from mmseg_adapt.log.scalars import scalars_of
from mmseg_adapt.runs.work_dir import VOLATILE

PLACES = {*VOLATILE, 'randomness', 'checkpoint', 'data_root', 'renders', 'experiment_name'}  # differ within a row


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
        UserError: a folder without a validated run.
    """
    rows = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        rows.update((row['step'], row) for row in scalars_of(file) if 'mIoU' in row)
    if not rows:
        raise UserError(f'{work_dir} holds no validated run: name work dirs of tools/train.py')
    return [rows[step] for step in sorted(rows)]


def summary_of(work_dir: Path, last: int) -> dict:
    """One run: its last and best validation, and mean and spread of the last ``last`` ones."""
    rows = validations(work_dir)
    tail = [row['mIoU'] for row in rows[-last:]]
    best = max(rows, key=lambda row: row['mIoU'])
    return dict(
        work_dir=str(work_dir),
        iterations=rows[-1]['step'],
        last=rows[-1]['mIoU'],
        best=best['mIoU'],
        best_iteration=best['step'],
        tail_mean=float(np.mean(tail)),
        tail_std=float(np.std(tail, ddof=1)) if len(tail) > 1 else 0.0,
        classes={k.removeprefix('IoU.'): v for k, v in rows[-1].items() if k.startswith('IoU.')},
    )


def over_runs(values: list[float]) -> str:
    if len(values) == 1:
        return f'{values[0]:.1f}'
    return f'{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}'


def table_of(groups: dict[str, list[dict]], last: int) -> PrettyTable:
    classes = list(next(iter(groups.values()))[0]['classes'])
    header = ['config', 'runs', 'last', f'mean of last {last}', 'spread within a run', 'best*', *classes]
    table = PrettyTable(header)
    table.set_style(TableStyle.MARKDOWN)
    table.align = 'r'
    table.align['config'] = 'l'
    for name, runs in groups.items():
        row = [over_runs([run[key] for run in runs]) for key in ('last', 'tail_mean')]
        row += [f'{np.mean([run["tail_std"] for run in runs]):.1f}', over_runs([run['best'] for run in runs])]
        row += [over_runs([run['classes'].get(c, np.nan) for run in runs]) for c in classes]
        table.add_row([name, len(runs), *row])
    return table


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('work_dirs', nargs='+', type=Path)
    parser.add_argument('--last', type=int, default=3, help='how many of the last snapshots to average')
    parser.add_argument('--json', type=Path, help='write everything here too')
    args = parser.parse_args()
    if args.last < 1:
        raise UserError(f'--last {args.last}: average at least one snapshot')
    rows = rows_of(args.work_dirs)
    groups = {name: [summary_of(work_dir, args.last) for work_dir in runs] for name, runs in rows.items()}
    print(table_of(groups, args.last))
    print('\nmIoU in percent, ± over runs; classes: last snapshot; best*: chosen on validation labels (an oracle)')
    if args.json:
        args.json.write_text(json.dumps(groups, indent=1))
        print(f'wrote {args.json}', file=sys.stderr)


if __name__ == '__main__':
    with one_sentence():
        main()
