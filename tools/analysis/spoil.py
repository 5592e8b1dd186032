"""Runs that are spoilt on purpose, and sound ones, on the demo's domains: what the alarm for harm is measured with.

    python -m mmseg_adapt.demo.streets data/streets
    python tools/analysis/spoil.py --out work_dirs/harm --seeds 0 1 2 3
    python tools/analysis/bench_selection.py harm work_dirs/harm --fit 0 1

For each seed it trains a baseline on the source, with BN statistics of the target (300 iterations), then every run of
``SOUND`` and ``SPOILT`` from it (100 iterations of 2 + 2 images), each in ``OUT/{sound,spoilt}/NAME/seedN``. A run that
has its last checkpoint is left out, so that the command can be repeated. A line of either table adds a kind.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config

from mmseg_adapt.cli import train as train_tool
from mmseg_adapt.errors import UserError, one_sentence
from mmseg_adapt.files.config import config_of

ITERATIONS, BASELINE = 100, 300
ROAD, SIDEWALK, BUILDING, POLE, VEGETATION, SKY, PERSON, CAR = range(8)


# ------------------------------------------------------------------------------------------------------- what spoils


def set_(**options) -> Callable[[Config], None]:
    """Options of the config by their dotted names, with ``__`` for the dots."""
    return lambda cfg: cfg.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})


def ids(**changed: int) -> Callable[[Config], None]:
    """Other classes of the source's labels: ``_0=5`` labels road as sky, 255 removes a class."""

    def change(cfg: Config) -> None:
        cfg.train_dataloader.dataset.source.id_map.update({int(key[1:]): value for key, value in changed.items()})

    return change


def of_target(*transforms: dict, **dataset) -> Callable[[Config], None]:
    """Transforms of the target's images after they were read, or other images."""

    def change(cfg: Config) -> None:
        target = cfg.train_dataloader.dataset.target
        target.pipeline[1:1] = transforms
        target.update(dataset)

    return change


def bn(**options) -> Callable[[Config], None]:
    return lambda cfg: cfg.model.segmentor.backbone.norm_cfg.update(options)


def from_scratch(cfg: Config) -> None:
    cfg.load_from = None


def several(*changes: Callable[[Config], None]) -> Callable[[Config], None]:
    return lambda cfg: [change(cfg) for change in changes]


def minent(cfg: Config) -> None:
    cfg.model = dict(type='MinEnt', segmentor=cfg.model.segmentor, lambda_ent=dict(decode=0.01))


def nothing(cfg: Config) -> None:
    pass


NIGHT = dict(type='AdjustGamma', gamma=0.12)
SOUND = {  # name → (config, what is changed)
    'target_bn': ('target_bn', nothing),
    'singlelevel': ('singlelevel', nothing),
    'singlelevel_half': ('singlelevel', set_(model__lambda_adv__decode=0.015)),
    'minent': ('target_bn', minent),
    'ran': ('ran', nothing),
    'advent': ('singlelevel', set_(model__type='AdvEnt')),
    'lsgan': ('singlelevel', set_(model__objective='lsgan')),
    'slow': ('singlelevel', set_(optim_wrapper__segmentor__optimizer__lr=0.005)),
    'd_faster': ('singlelevel', set_(optim_wrapper__discriminator__optimizer__lr=3e-4)),
    'singlelevel_double': ('singlelevel', set_(model__lambda_adv__decode=0.06)),
}
SPOILT = {
    'lambda_x1000': ('singlelevel', set_(model__lambda_adv__decode=30.0)),
    'lambda_x1000_ran': ('ran', set_(model__lambda_adv__backbone=20.0)),
    'd_won': ('singlelevel', set_(optim_wrapper__discriminator__optimizer__lr=1e-2, model__lambda_adv__decode=3.0)),
    'learning_rate_x30': ('singlelevel', set_(optim_wrapper__segmentor__optimizer__lr=0.6)),
    'road_is_sky': ('singlelevel', ids(_0=SKY, _5=ROAD)),
    'car_is_person': ('target_bn', ids(_7=PERSON, _6=CAR)),
    'no_vegetation': ('singlelevel', ids(_4=255)),
    'no_building': ('target_bn', ids(_2=255)),
    'night': ('singlelevel', several(of_target(NIGHT), set_(model__lambda_adv__decode=0.3))),
    'night_bn': ('target_bn', of_target(NIGHT)),
    'bn_broken': ('singlelevel', bn(eps=30.0)),
    'teacher_frozen': ('dacs', several(from_scratch, set_(model__alpha=1.0, model__pseudo_threshold=0.0))),
}


# ------------------------------------------------------------------------------------------------------------ trainings


def config(name: str, seed: int, iterations: int) -> Config:
    cfg = config_of(f'demo/streets_{name}')
    cfg.randomness = dict(seed=seed)
    cfg.train_cfg.update(max_iters=iterations, val_interval=iterations)
    cfg.param_scheduler[0].end = iterations + 1
    cfg.default_hooks.checkpoint.update(interval=iterations, max_keep_ckpts=2)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    return cfg


def train(cfg: Config, work_dir: Path) -> None:
    """In a process of its own, whose console goes to ``work_dir/console.txt``."""
    work_dir.mkdir(parents=True, exist_ok=True)
    cfg.dump(work_dir / f'{work_dir.parent.name}.py')
    process = multiprocessing.get_context('fork').Process(target=_train, args=(work_dir,))
    process.start()
    process.join()
    print(f'{work_dir}: {"done" if process.exitcode == 0 else "failed, see console.txt"}', flush=True)


def _train(work_dir: Path) -> None:
    console = (work_dir / 'console.txt').open('w')
    os.dup2(console.fileno(), 1)
    os.dup2(console.fileno(), 2)
    torch.set_num_threads(1)
    (file,) = work_dir.glob('*.py')
    sys.argv = ['train.py', str(file), '--work-dir', str(work_dir), '--overwrite']
    train_tool.main()


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2, 3])
    args = parser.parse_args()
    if not Path('data/streets/source/images').is_dir():
        raise UserError('data/streets does not exist: write it with python -m mmseg_adapt.demo.streets data/streets')
    for seed in args.seeds:
        baseline = args.out / f'baseline/seed{seed}'
        start = baseline / f'iter_{BASELINE}.pth'
        if not start.exists():
            train(config('target_bn', seed, BASELINE), baseline)
        if not start.exists():
            sys.exit(f'error: {start} was not written')
        for kind, runs in (('sound', SOUND), ('spoilt', SPOILT)):
            for name, (method, change) in runs.items():
                work_dir = args.out / kind / name / f'seed{seed}'
                if (work_dir / f'iter_{ITERATIONS}.pth').exists():
                    continue
                cfg = config(method, seed, ITERATIONS)
                cfg.load_from, cfg.train_dataloader.batch_size = str(start), 2
                change(cfg)
                train(cfg, work_dir)


if __name__ == '__main__':
    with one_sentence():
        main()
