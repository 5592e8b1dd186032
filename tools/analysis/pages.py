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

MEASURED = {  # in the README: pair of domains → (title, training → row of docs/results)
    'carla2camvid': (
        'CARLA → CamVid: rendered to real, three classes, DeepLabV2 on a thin ResNet-50',
        {
            'source only': '200_source_only',
            'flips, varied colours': '200_aug_source_only',
            'the same, AdaptSegNet': '200_aug_singlelevel',
            'the same, AdaptSegNet and colour transfer': 'colour_aug_singlelevel',
            'the same, AdaptSegNet and AAN': 'aan_aug_singlelevel',
            "target's labels": 'oracle',
        },
    ),
    'carla2cs': (
        'CARLA → Cityscapes: rendered to real, three classes, MobileNetV2',
        {
            'source only': 'source_only',
            'flips, varied colours': 'aug_source_only',
            'colour transfer': 'colour_source_only',
            'colour transfer, DACS, rare classes': 'colour_dacs_rcs',
            "target's labels": 'oracle',
        },
    ),
    'cs2idd': (
        'Cityscapes → IDD-Lite: Germany to India, seven classes, MobileNetV2',
        {
            'source only': 'source_only',
            'rare classes, class weights': 'weighted_source_only_rcs',
            "the same, DAFormer's parts": 'weighted_daformer',
            "the same, DAFormer's parts and colour transfer": 'weighted_colour_daformer',
            "target's labels": 'oracle',
            "target's labels, class weights": 'weighted_oracle',
        },
    ),
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

    def of(pair: str, row: str, snapshot: Callable[[dict], dict]) -> str:
        runs = pairs[pair].get(f'{pair}_{row}')
        if not runs:
            raise UserError(
                f'{results / pair}.jsonl has no run of {pair}_{row}: add it, or change {Path(__file__).name}'
            )
        return over_runs(snapshot(run)['mIoU'] for run in runs)

    def line(name: str, pair: str, row: str) -> list[str]:
        return [name, *(of(pair, row, snapshot) for snapshot in SNAPSHOTS.values())]

    lines = [
        cells
        for pair, (title, rows) in MEASURED.items()
        for cells in ([f'**{title}**', '', ''], *(line(name, pair, row) for name, row in rows.items()))
    ]
    yield 'README.md', 'measured', markdown(['mIoU', *SNAPSHOTS], lines)
    for pair, mark, subjects in (
        ('carla2camvid', 'camvid', CARLA_RENDERS),
        ('cs2idd', 'idd', CITYSCAPES_RENDERS),
    ):
        lines = [
            [f'{subject}, {name}', *(of(pair, row, snapshot) for row in rows.values())]
            for subject, rows in subjects.items()
            for name, snapshot in SNAPSHOTS.items()
        ]
        yield 'docs/aan.md', mark, markdown(['', *next(iter(subjects.values()))], lines)


if __name__ == '__main__':
    with one_sentence():
        main()
