"""Two folders in, an adapted model out: ``mmseg-adapt run --source-images A --source-labels B --target-images C …``.

Writes into the folder OUT, in this order: config.py (as ``mmseg-adapt new``), train/ (the run and its snapshots),
select.json (the snapshot picked without target labels, and why), report.html, model/ (the picked snapshot, exported)
and predictions/ for the target images. After an interruption, repeat the command to continue: finished steps are kept.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files.config import config_of
from ..files.whole import staged
from ..log.scalars import scalars_of
from .new import add_folders, write_config

SNAPSHOTS = 6  # per run, to pick from
PROBE = 12  # iterations to time
SETTINGS = """
# {why}
train_cfg = dict(max_iters={iterations}, val_interval={interval})
param_scheduler = [dict(step, end={iterations} + 1) if 'end' in step else step for step in _base_.param_scheduler]
default_hooks = dict(checkpoint=dict(interval={interval}, max_keep_ckpts=-1))
"""


def parse() -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    add_folders(parser)
    parser.set_defaults(network='small', method='dacs')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/run'), help='folder to write')
    length = parser.add_mutually_exclusive_group()
    length.add_argument('--minutes', type=float, help='training time; a few iterations are timed first')
    length.add_argument('--iterations', type=int, help="number of iterations (default: the network's schedule)")
    args = parser.parse_args()
    for name in ('minutes', 'iterations'):
        value = getattr(args, name)
        if value is not None and value <= 0:
            raise UserError(f'--{name} {value} must be above 0')
    return args


def main() -> None:
    args = parse()
    remember(args)
    config = args.out / 'config.py'
    if not config.exists():
        write_config(args, config)
    if not has_length(config):
        set_length(config, args)
    train = args.out / 'train'
    if not (train / f'iter_{config_of(str(config)).train_cfg.max_iters}.pth').exists():
        say(f'training into {train}')
        command('train', config, '--work-dir', train, '--resume', 'auto')
    checkpoint = picked(train, args.out / 'select.json')
    if not (report := args.out / 'report.html').exists():
        command('report', train, '--out', report)
    if not (model := args.out / 'model').exists():
        command('export', config, checkpoint, model)
    if not (predictions := args.out / 'predictions').exists():
        command('predict', model, args.target_images, '--out', predictions)
    say(f'done. Report: {report}; model: {model}; predictions for the target images: {predictions}')


def say(text: str) -> None:
    print(f'\n== {text}', flush=True)


def remember(args: Namespace) -> None:
    """Save the arguments, and check that a repeated call has the same ones.

    Raises:
        UserError: ``--out`` contains a run with other arguments, or is not empty and not a run.
    """
    asked = {key: str(value) for key, value in vars(args).items() if key != 'out' and value is not None}
    file = args.out / 'run.json'
    if not file.exists():
        if args.out.exists() and any(args.out.iterdir()):
            raise UserError(f'{args.out} is not empty and does not contain a run: choose another folder with --out')
        args.out.mkdir(parents=True, exist_ok=True)
        with staged(file) as path:
            path.write_text(json.dumps(asked, indent=1))
        return
    before = json.loads(file.read_text())
    if changed := sorted(key for key in asked.keys() | before.keys() if asked.get(key) != before.get(key)):
        option = '--' + changed[0].replace('_', '-')
        raise UserError(
            f'{args.out} contains a run with {option} {before.get(changed[0])}, not {asked.get(changed[0])}: pass the '
            'same arguments, or choose another folder with --out'
        )


def command(name: str, *arguments: object, quiet: bool = False) -> None:
    """Run ``mmseg-adapt NAME …`` in its own process. ``quiet`` hides the output unless it fails.

    Raises:
        SystemExit: the command failed and has printed why.
    """
    line = [sys.executable, '-W', 'ignore', '-m', 'mmseg_adapt_command', name, *map(str, arguments)]
    done = subprocess.run(line, stdout=subprocess.PIPE if quiet else None, text=True)
    if done.returncode:
        print(done.stdout or '', end='')
        raise SystemExit(done.returncode)


def has_length(config: Path) -> bool:
    return 'max_keep_ckpts=-1' in config.read_text()


def set_length(config: Path, args: Namespace) -> None:
    """Append the number of iterations and evenly spaced snapshots to the config."""
    if args.minutes:
        seconds = seconds_per_iteration(config)
        iterations, why = int(60 * args.minutes / seconds), f'{args.minutes:g} minutes at {seconds:.2f} s an iteration'
    else:
        iterations, why = args.iterations or config_of(str(config)).train_cfg.max_iters, 'The length of the training.'
    interval = max(1, iterations // SNAPSHOTS)
    iterations = max(interval * SNAPSHOTS, 1) if args.minutes else iterations
    say(f'{iterations} iterations ({why}), a snapshot every {interval}')
    settings = SETTINGS.format(why=why, iterations=iterations, interval=interval)
    with staged(config, overwrite=True) as file:
        file.write_text(config.read_text() + settings)
    config_of(str(config))


def seconds_per_iteration(config: Path) -> float:
    """The median over the second half of a few iterations."""
    say(f'timing {PROBE} iterations')
    with tempfile.TemporaryDirectory() as folder:
        options = [
            f'train_cfg.max_iters={PROBE}',
            f'train_cfg.val_interval={PROBE + 1}',
            'default_hooks.logger.interval=1',
        ]
        command('train', config, '--work-dir', folder, '--cfg-options', *options, quiet=True)
        (file,) = Path(folder).glob('*/vis_data/scalars.json')
        times = [row['time'] for row in scalars_of(file) if 'time' in row]
    return float(np.median(times[PROBE // 2 :]))


def picked(train: Path, file: Path) -> Path:
    """The checkpoint picked by the label-free rule. Its scores and words are written to ``file``."""
    if not file.exists():
        say('picking a snapshot without labels')
        command('select', train, '--json', file)
    name = Path(json.loads(file.read_text())['pick']).name
    return train / f'{name}.pth'
