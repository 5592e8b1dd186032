"""Run the whole method in minutes on a CPU: two generated domains, renders, five trainings, table, pictures, report.

``make demo`` or ``python tools/demo.py [--seed N] [--work-dir work_dirs/demo]``
"""

import json
import os
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from mmseg_adapt.demo import streets
from mmseg_adapt.log.scalars import scalars_of
from mmseg_adapt.pictures import colour_map
from mmseg_adapt.selection.scores import areas, miou

ROOT = Path(__file__).parents[1]
DATA = ROOT / 'data' / 'streets'
METHODS = {  # config → its name in the table
    'source_only': 'source only',
    'target_bn': '+ target BN',
    'singlelevel': 'AdaptSegNet 1-level',
    'dacs': 'DACS',
    'multilevel': 'AdaptSegNet 2-level',
}


def config_of(method: str) -> Path:
    return ROOT / 'configs' / 'demo' / f'streets_{method}.py'


PALETTE = Config.fromfile(config_of('source_only')).val_dataloader.dataset.metainfo.palette


def run(command: list, log: Path) -> subprocess.Popen:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('w') as file:
        return subprocess.Popen([sys.executable, *map(str, command)], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)


def check(process: subprocess.Popen, log: Path) -> None:
    if process.wait() != 0:
        raise SystemExit(f'{log} ends with: {log.read_text().strip().splitlines()[-1]}')


def scalars(work_dir: Path) -> list[dict]:
    """The log of the newest run in ``work_dir`` so far."""
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    return scalars_of(files[-1]) if files else []


def train(method: str, work_dir: Path, options: list[str], progress: Progress) -> None:
    iterations = Config.fromfile(config_of(method)).train_cfg.max_iters
    bar = progress.add_task(METHODS[method], total=iterations)
    command = ['tools/train.py', config_of(method), '--work-dir', work_dir, '--overwrite', '--cfg-options', *options]
    log = work_dir / 'train.log'
    before = set(work_dir.glob('*/vis_data/scalars.json'))
    process = run(command, log)
    while process.poll() is None:
        time.sleep(0.5)
        if set(work_dir.glob('*/vis_data/scalars.json')) - before and (rows := scalars(work_dir)):
            progress.update(bar, completed=rows[-1].get('step', 0))
    check(process, log)
    progress.update(bar, completed=iterations)


def test(method: str, work_dir: Path) -> dict[str, float]:
    """mIoU and IoU per class on the target's validation images; writes predictions to ``work_dir``/predictions."""
    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    out = work_dir / 'test'
    log = work_dir / 'test.log'
    check(
        run(
            ['tools/test.py', config_of(method), checkpoint, '--work-dir', out, '--out', work_dir / 'predictions'], log
        ),
        log,
    )
    result = json.loads(max(out.glob('*/*.json'), key=lambda f: f.stat().st_mtime).read_text().splitlines()[-1])
    return {name: value for name, value in result.items() if name == 'mIoU' or name.startswith('IoU.')}


def render_pool(work_dir: Path, count: int = 6) -> Path:
    """AAN: render a few source images in the target's style. Returns a picture: sources, renders, target images."""
    store, source, target = work_dir / 'aan', DATA / 'source' / 'images', DATA / 'target' / 'train' / 'images'
    shutil.rmtree(store, ignore_errors=True)
    config, log = ROOT / 'configs' / '_base_' / 'aan' / 'streets.py', work_dir / 'aan.log'
    folders = ['--source', source, '--target', target, '--out', store]
    check(run(['tools/render_aan.py', config, *folders, '--count', count], log), log)
    renders = sorted(store.glob('*.png'))
    rows = [[source / r.name for r in renders], renders, sorted(target.iterdir())[:count]]
    picture = np.vstack([np.hstack([cv2.imread(str(file)) for file in row]) for row in rows])
    cv2.imwrite(str(work_dir / 'aan.png'), picture)
    return work_dir / 'aan.png'


def table_of(results: dict[str, dict]) -> Table:
    """One row per class and one column per method, so that it fits in 80 columns."""
    table = Table(title='IoU on the unlabelled domain, %')
    table.add_column('')
    for method in results:
        table.add_column(METHODS[method], justify='right')
    for name in (*(f'IoU.{c}' for c in streets.CLASSES), 'mIoU'):
        style = 'bold' if name == 'mIoU' else None
        table.add_row(name.removeprefix('IoU.'), *(f'{iou[name]:.1f}' for iou in results.values()), style=style)
    return table


def typical(work_dir: Path, method: str, count: int) -> list[str]:
    """The validation images on which the method's gain over source-only is nearest to its median gain in mIoU."""
    labels = {path.name: path for path in sorted((DATA / 'target' / 'val' / 'labels').iterdir())}

    def iou(name: str, file: Path) -> float:
        maps = (torch.from_numpy(cv2.imread(str(f), cv2.IMREAD_UNCHANGED)).long() for f in (file, labels[name]))
        return miou(areas(*maps, len(streets.CLASSES)))

    gains = {
        name: np.subtract(*(iou(name, work_dir / m / 'predictions' / name) for m in (method, 'source_only')))
        for name in labels
    }
    middle = np.median(list(gains.values()))
    return sorted(sorted(gains, key=lambda name: abs(gains[name] - middle))[:count])


def draw_picture(work_dir: Path, out: Path, columns: int = 4, scale: int = 2) -> None:
    """Rows: image, the prediction of every method, ground truth. Columns: typical validation images."""
    val = DATA / 'target' / 'val'
    names = typical(work_dir, 'multilevel', columns)
    rows = [('image', [cv2.imread(str(val / 'images' / n))[..., ::-1] for n in names])]
    for method, title in METHODS.items():
        rows.append((title, [read_labels(work_dir / method / 'predictions' / n) for n in names]))
    rows.append(('ground truth', [read_labels(val / 'labels' / n) for n in names]))
    height, width = streets.SIZE[0] * scale, streets.SIZE[1] * scale
    strips = []
    for title, images in rows:
        strip = np.full((24, width * columns, 3), 255, np.uint8)
        cv2.putText(strip, title, (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        images = [cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST) for image in images]
        strips += [strip, np.hstack(images)]
    cv2.imwrite(str(out), np.vstack(strips)[..., ::-1])


def read_labels(path: Path) -> np.ndarray:
    return colour_map(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), PALETTE)


def write_report(work_dir: Path) -> None:
    """Write the report of the best method against the source-only run: work_dir/report.html."""
    log = work_dir / 'report.log'
    runs = [work_dir / 'multilevel', '--baseline', work_dir / 'source_only']
    check(run(['tools/report.py', *runs, '--out', work_dir / 'report.html'], log), log)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs' / 'demo')
    parser.add_argument('--cfg-options', nargs='*', default=[], help='passed to tools/train.py')
    args = parser.parse_args()
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # small images: two parallel runs beat two threads per run
    console, started = Console(), time.time()
    work_dir = args.work_dir.resolve()

    console.print(f'data: {streets.write(DATA)}')
    console.print(f"source images in the target's style: {render_pool(work_dir)}", soft_wrap=True, highlight=False)
    options = [f'randomness.seed={args.seed}', *args.cfg_options]
    columns = TextColumn('{task.description:21}'), BarColumn(), TextColumn('{task.completed:.0f}/{task.total:.0f}')
    jobs = min(len(METHODS), os.cpu_count() or 1)
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:

        def result(method: str) -> dict[str, float]:
            train(method, work_dir / method, options, progress)
            return test(method, work_dir / method)

        with ThreadPoolExecutor(jobs) as pool:
            longest_first = reversed(METHODS)
            found = {method: pool.submit(result, method) for method in longest_first}
        results = {method: found[method].result() for method in METHODS}

    console.print(table_of(results))
    (work_dir / 'results.json').write_text(json.dumps(results, indent=1))
    draw_picture(work_dir, work_dir / 'predictions.png')
    write_report(work_dir)
    for path in (
        *(work_dir / m / 'train.log' for m in METHODS),
        *map(work_dir.__truediv__, ('results.json', 'predictions.png', 'aan.png', 'report.html')),
    ):
        console.print(f'wrote {path}', soft_wrap=True, highlight=False)
    console.print(f'{(time.time() - started) / 60:.1f} minutes')


if __name__ == '__main__':
    main()
