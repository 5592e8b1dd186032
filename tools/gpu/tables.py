"""Print the results of check.sh as the tables for docs/results.md: ``python tools/gpu/tables.py FOLDER``."""

import json
import sys
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / 'analysis'))
from markdown_table import markdown  # noqa: E402
from summarize import class_table, miou_table  # noqa: E402


def number(value: float | None, digits: int = 2) -> str:
    return '–' if value is None else f'{value:.{digits}f}'


def ratio(a: float | None, b: float | None) -> str:
    return number(a / b if a and b else None)


def tests(rows: list[dict]) -> str:
    counts = Counter(row['outcome'] for row in rows)
    lines = [', '.join(f'{n} {outcome}' for outcome, n in sorted(counts.items()))]
    lines += [f'* {row["outcome"]}: {row["name"]}: {row["why"]}' for row in rows if row['outcome'] == 'failed']
    return '\n'.join(lines)


def speed(rows: list[dict]) -> str:
    peak = rows[0].get('tflops')
    header = ['config, precision', 's / iteration', 'plain loop', 'ratio', 'GiB', 'plain', 'TFLOP/s', 'of the peak']
    lines, flops = [], {}
    for row in (row for row in rows[1:] if 'seconds' in row):
        counted = row['flops'] or flops.get(row['config'])  # FLOPs of compiled iterations are not counted
        flops.setdefault(row['config'], counted)
        reached = counted / row['seconds'] / 1e12 if counted else None
        share = f'{reached / peak:.1%}' if reached and peak else '–'
        lines.append(
            [
                row['name'],
                number(row['seconds'], 3),
                number(row['plain_seconds'], 3),
                ratio(row['seconds'], row['plain_seconds']),
                number(row['peak_gib']),
                number(row['plain_peak_gib']),
                number(reached, 1),
                share,
            ]
        )
    said = f'one bf16 matrix product: {number(peak, 1)} TFLOP/s' if peak else ''
    return f'{markdown(header, lines)}\n\n{said}\n{left_out(rows)}'


def aan(rows: list[dict]) -> str:
    header = ['recipe', 's / image', 'images / hour', 'gradients', 'objective, of the paper’s']
    done = [row for row in rows if 'seconds' in row]
    lines = [
        [
            row['name'],
            number(row['seconds']),
            number(3600 / row['seconds'], 0),
            row['evaluations'] or '–',
            ratio(row['objective'], done[0]['objective']),
        ]
        for row in done
    ]
    return f'{markdown(header, lines)}\n{left_out(rows)}'


def memory(rows: list[dict]) -> str:
    header = ['config, precision', 'predicted GiB', 'allocated GiB', 'predicted / allocated']
    lines = [
        [row['name'], number(p := row['predicted_gib']), number(a := row['allocated_gib']), ratio(p, a)]
        for row in rows
        if 'predicted_gib' in row
    ]
    return f'{markdown(header, lines)}\n{left_out(rows)}'


def real(rows: list[dict]) -> str:
    """Last, picked and best mIoU, then every class, for the runs of each config."""
    done = [row for row in rows if 'snapshots' in row]
    runs = {name: [row for row in done if row['config'] == name] for name in dict.fromkeys(r['config'] for r in done)}
    return f'{miou_table(runs, tail=3)}\n\n{class_table(runs)}\n{left_out(rows)}' if runs else left_out(rows)


def left_out(rows: list[dict]) -> str:
    return '\n'.join(f'* left out: {row["name"]}: {row["skipped"]}' for row in rows if 'skipped' in row)


STAGES = dict(
    tests=(tests, 'Tests marked gpu'),
    speed=(speed, 'Training at the published sizes, noise images, the paper’s plain loop in turns'),
    aan=(aan, 'AAN'),
    memory=(memory, 'Peak memory of an iteration, predicted without a GPU and allocated'),
    real=(real, 'Cityscapes → IDD-Lite; picked: without labels; best*: by validation labels; classes: last'),
)


def report(folder: Path) -> str:
    """The tables of all stages with at least one row, with the name of the card."""
    parts = []
    if (file := folder / 'card.json').exists():
        card = json.loads(file.read_text())
        gib = f', {card["gib"]:.0f} GiB' if 'gib' in card else ''
        parts.append(f'# {card["device"]}{gib}, PyTorch {card["torch"]}, {card["cores"]} cores')
    for name, (table, title) in STAGES.items():
        if (file := folder / f'{name}.json').exists():
            parts.append(f'## {title}\n\n{table(json.loads(file.read_text()))}')
    return '\n\n'.join(parts).strip() + '\n'


if __name__ == '__main__':
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit('error: pass the folder that check.sh --out wrote: python tools/gpu/tables.py FOLDER')
    print(report(Path(sys.argv[1])))
