"""Run FCAN's ablation, stage by stage, and print the paper's table next to ours.

``python tools/fcan_ablation.py [--setting configs/fcan/gta2cs] [--rows fcn abn ada conv …] [--seeds 0 1 2]``

Stage 1 (``fcn``) is trained once per seed. ``abn`` adapts its BN statistics, and every other row is a stage 2 that
starts from its last checkpoint. Finished runs are not repeated: after an interruption, repeat the same command.
"""

import json
import re
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
from mmengine.config import Config
from prettytable import PrettyTable, TableStyle

from mmseg_adapt.errors import UserError, one_sentence
from mmseg_adapt.style import RenderStore

ROOT = Path(__file__).parents[1]
ROWS = {
    'fcn': 'FCN (source only)',
    'abn': '+ target BN statistics (ABN)',
    'ada': '+ image-level D (ADA)',
    'conv': '+ region-level D (Conv)',
    'ran': '+ ASPP (RAN)',
    'ran_colour': 'RAN + colour transfer',
    'ran_aan': 'RAN + AAN',
}


def published(row: str) -> str:
    """The paper's mIoU, from the header of the config that reproduces it; – where the paper has no such row."""
    found = re.search(r'Published mIoU ([\d.]+)\.', (ROOT / f'configs/fcan/gta2cs_{row}.py').read_text())
    return found[1] if found else '–'


def run(log: Path, *command) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    print(f'{log.with_suffix("")} …', flush=True)
    with log.open('w') as file:
        code = subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, stdout=file, stderr=file).returncode
    if code:
        raise UserError(f'{log} ends with: {log.read_text().strip().splitlines()[-1]}')


def trained(config: str, work_dir: Path, seed: int, options: list[str]) -> Path:
    """The last checkpoint of a run. Trains the run first, unless it is finished."""
    options = [f'randomness.seed={seed}', *options]
    cfg = Config.fromfile(ROOT / config)
    cfg.merge_from_dict(dict(option.split('=', 1) for option in options if option.startswith('train_cfg.max_iters')))
    last = work_dir / f'iter_{cfg.train_cfg.max_iters}.pth'
    if not last.exists():
        how = '--resume' if (work_dir / 'last_checkpoint').exists() else '--overwrite'
        run(work_dir / 'train.log', 'tools/train.py', config, how, '--work-dir', work_dir, '--cfg-options', *options)
        if not last.exists():
            raise UserError(f'{work_dir} was interrupted before {last.name}: repeat the command to continue')
    return last


def adapted(config: str, checkpoint: Path, work_dir: Path) -> Path:
    """``checkpoint`` with the BN statistics of the images of the config's AdaptBNHook."""
    out = work_dir / checkpoint.name
    if not out.exists():
        command = ('tools/adapt_bn.py', config, checkpoint, '--out', out, '--work-dir', work_dir / 'adapt')
        run(work_dir / 'adapt.log', *command)
    return out


def miou(config: str, checkpoint: Path, work_dir: Path) -> float:
    """mIoU of a checkpoint on the target's test images, in percent."""
    out = work_dir / f'test_{checkpoint.stem}'
    if not list(out.glob('*/*.json')):
        run(work_dir / 'test.log', 'tools/test.py', config, checkpoint, '--work-dir', out)
    newest = max(out.glob('*/*.json'), key=lambda file: file.stat().st_mtime)
    return json.loads(newest.read_text().splitlines()[-1])['mIoU']


def one_row(row: str, seed: int, args: Namespace) -> float:
    work_dir = args.work_dir / row / f'seed{seed}'
    config = f'{args.setting}_{row}.py'
    stage1 = trained(f'{args.setting}_fcn.py', args.work_dir / 'fcn' / f'seed{seed}', seed, args.cfg_options)
    if row == 'fcn':
        checkpoint = stage1
    elif row == 'abn':
        checkpoint = adapted(config, stage1, work_dir)
    else:
        start = f'model.segmentor.init_cfg.checkpoint={stage1}'
        checkpoint = trained(config, work_dir, seed, [start, *args.cfg_options])
    return miou(config, checkpoint, work_dir)


def check_renders(row: str, setting: str) -> None:
    """Raises: UserError: a row needs AAN renders of the source that do not exist."""
    config = f'{setting}_{row}.py'
    source = Config.fromfile(ROOT / config).train_dataloader.dataset.get('source', {})
    for step in source.get('pipeline', ()):
        if step.type == 'AANStyleTransfer' and not RenderStore(ROOT / step.renders).exists:
            raise UserError(
                f'{step.renders} does not contain renders: create them as the header of {config} says, or remove '
                f'{row} from --rows'
            )


def table_of(results: dict[str, list[float]]) -> PrettyTable:
    table = PrettyTable(['', 'paper, GTA5 → Cityscapes', 'ours', 'runs'])
    table.set_style(TableStyle.MARKDOWN)
    table.align = 'r'
    table.align[''] = 'l'
    for row, values in results.items():
        spread = f' ± {np.std(values, ddof=1):.1f}' if len(values) > 1 else ''
        table.add_row([ROWS[row], published(row), f'{np.mean(values):.1f}{spread}', len(values)])
    return table


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--setting', default='configs/fcan/gta2cs', help='configs are <setting>_<row>.py')
    parser.add_argument('--rows', nargs='+', choices=ROWS, default=list(ROWS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0])
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/ablation/<name of the setting>')
    parser.add_argument('--cfg-options', nargs='*', default=[], help='passed to every training')
    args = parser.parse_args()
    args.work_dir = (args.work_dir or ROOT / 'work_dirs/ablation' / Path(args.setting).name).resolve()
    if missing := [r for r in ('fcn', *args.rows) if not (ROOT / f'{args.setting}_{r}.py').exists()]:
        raise UserError(f'{args.setting}_{missing[0]}.py does not exist: pass a --setting such as configs/fcan/gta2cs')
    for row in args.rows:
        check_renders(row, args.setting)
    results = {}
    try:
        for row in args.rows:
            results[row] = [one_row(row, seed, args) for seed in args.seeds]
    finally:  # always show what is finished
        print(table_of(results))
        print('\nmIoU of the last checkpoint in percent, ± sample standard deviation over seeds')


if __name__ == '__main__':
    with one_sentence():
        main()
