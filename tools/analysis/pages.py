"""Write the tables of measured mIoU into the README and the docs, from the runs that lie in docs/results.

    python tools/analysis/pages.py

Call it after every change in docs/results: no such number is typed by hand, and a test compares the pages with the
files.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import bench_selection
from bench_selection import rows_in
from markdown_table import markdown, put
from summarize import SNAPSHOTS, over_runs, stored, tables_of

from mmseg_adapt.errors import UserError, one_sentence

ROOT = Path(__file__).parents[2]

IDD = {  # column → row of docs/results
    'source only': 'source_only',
    'rare classes': 'source_only_rcs',
    'rare classes, weights': 'weighted_source_only_rcs',
    "rare classes, weights, DAFormer's parts": 'weighted_daformer',
    'the same, colour transfer': 'weighted_colour_daformer',
    'rare classes, weights, varied colours, AdaptSegNet': 'weighted_aug_singlelevel_rcs',
    "target's labels": 'oracle',
    "target's labels, weights": 'weighted_oracle',
}
CITYSCAPES = {
    'source only': 'source_only',
    'target BN': 'target_bn',
    'colour transfer': 'colour_source_only',
    'colour transfer, DACS, rare classes': 'colour_dacs_rcs',
    "target's labels": 'oracle',
}
CAMVID = {
    'source only': 'source_only',
    'flips, varied colours': 'aug_source_only',
    'the same, AdaptSegNet': 'aug_singlelevel',
    'the same, colour transfer': None,
    'the same, AAN': None,
    'the same, AAN and AdaptSegNet': None,
}
CAMVID_200 = dict.fromkeys(CAMVID) | {
    'source only': '200_source_only',
    'flips, varied colours': '200_aug_source_only',
    'the same, AdaptSegNet': '200_aug_singlelevel',
    'the same, colour transfer': 'colour_aug_source_only',
    'the same, AAN': 'aan_aug_source_only',
    'the same, AAN and AdaptSegNet': 'aan_aug_singlelevel',
}
CARLA_RENDERS = {  # on the same 200 frames of CARLA
    subject: {
        'source only': f'{prefix}_source_only',
        'flips, varied colours': f'{prefix}_aug_source_only',
        'the same, AdaptSegNet': f'{prefix}_aug_singlelevel',
        'the same, DACS': f'{prefix}_aug_dacs',
    }
    for subject, prefix in {
        'as they are': '200',
        'colour map': 'colour',
        'renders of `fast`': 'aan',
        "renders of the paper's recipe": 'paper',
    }.items()
}
CITYSCAPES_RENDERS = {  # on the same 200 images of Cityscapes
    subject: {'source only': source_only, "rare classes, weights, DAFormer's parts": daformer}
    for subject, source_only, daformer in (
        ('as they are', '200_source_only', '200_weighted_daformer'),
        ('colour map', '200_colour_source_only', '200_weighted_colour_daformer'),
        ('renders of `fast`', 'aan_source_only', 'weighted_aan_daformer'),
        ("renders of the paper's recipe", 'paper_source_only', 'paper_weighted_daformer'),
    )
}


def main() -> None:
    for page, mark, table in list(tables(ROOT / 'docs/results')):  # all of them before the first is written
        put(ROOT / page, mark, table)


def tables(results: Path) -> Iterator[tuple[str, str, object]]:
    """Page, mark (:func:`markdown_table.put`) and content of every table, from a folder of stored runs."""
    files = sorted(results.glob('*.jsonl'))
    pairs = {file.stem: stored(file) for file in files}
    for file in files:
        yield 'docs/results.md', file.name, '\n' + '\n\n'.join(tables_of(pairs[file.stem])) + '\n'
    for file in sorted(results.glob('fcan/*.jsonl')):
        yield 'docs/results.md', file.name, tables_of(stored(file), classes=False)[0]

    yield 'docs/choosing.md', 'runs', bench_selection.run_table(files)
    for pool in ('pools', 'held_out'):
        yield 'docs/choosing.md', pool, bench_selection.tables(rows_in(results / f'selection/{pool}.jsonl'))
    yield 'docs/choosing.md', 'harm', bench_selection.alarms(rows_in(results / 'selection/harm.jsonl'), ['0', '1'])

    def compared(pair: str, subjects: dict[str, dict[str, str | None]]):
        def cell(row: str | None, snapshot: Callable[[dict], dict]) -> str:
            if row and f'{pair}_{row}' not in pairs[pair]:
                raise UserError(
                    f'{results / pair}.jsonl has no run of {pair}_{row}: add it, or change {Path(__file__).name}'
                )
            return over_runs(snapshot(run)['mIoU'] for run in pairs[pair][f'{pair}_{row}']) if row else ''

        cells = [
            [f'{subject}, {name}'.removeprefix(', '), *(cell(row, of) for row in rows.values())]
            for subject, rows in subjects.items()
            for name, of in SNAPSHOTS.items()
        ]
        return markdown(['', *next(iter(subjects.values()))], cells)

    yield 'README.md', 'camvid', compared('carla2camvid', {'1,984 frames': CAMVID, '200 of them': CAMVID_200})
    yield 'README.md', 'idd', compared('cs2idd', {'': IDD})
    yield 'README.md', 'cityscapes', compared('carla2cs', {'': CITYSCAPES})
    yield 'docs/aan.md', 'camvid', compared('carla2camvid', CARLA_RENDERS)
    yield 'docs/aan.md', 'idd', compared('cs2idd', CITYSCAPES_RENDERS)


if __name__ == '__main__':
    with one_sentence():
        main()
