"""An interrupted and resumed run is the run that was never interrupted."""

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import torch

from .tiny import REPO, load, tiny_config

STATE = ('state_dict', 'optimizer', 'param_schedulers', 'exact_resume')
FULL = [f'{kind}-{k}-{w}-{r}' for r, w, kind, k in product((1, 2), (0, 2), ('clean', 'sigterm', 'kill9'), (1, 7, 13))]
# One interruption of each kind, with and without workers, and on two ranks: 7 is in the middle of an accumulation, of
# a pass over the data and between two validations; the other iterations add only other offsets of the same arithmetic.
DEFAULT = ['clean-7-0-1', 'sigterm-7-2-1', 'kill9-7-0-1', 'sigterm-7-0-2']


def small(name: str, data: Path, folder: Path):
    """A game of seconds in which everything that can be forgotten matters: dropout, augmentation, BN, momentum, Adam,
    accumulation, a schedule, a validation in between."""
    cfg = tiny_config(name, data, folder, iterations=20)
    segmentor = cfg.model.segmentor
    segmentor.backbone.update(stem_channels=4, base_channels=4)
    segmentor.decode_head.update(in_channels=32, dilations=(1,), dropout_ratio=0.2)
    segmentor.auxiliary_head.update(in_channels=16, dilations=(1,))
    for part in cfg.model.discriminator.values():
        part.base_channels = 2
    for domain in ('source', 'target'):
        pipeline = cfg.train_dataloader.dataset[domain].pipeline
        pipeline.insert(-1, dict(type='PhotoMetricDistortion'))
        pipeline.insert(-1, dict(type='Resize', scale=(96, 48)))
    cfg.optim_wrapper.discriminator.accumulative_counts = 3
    cfg.param_scheduler[0].end = 25
    cfg.train_cfg.val_interval = 10
    cfg.val_dataloader.dataset.indices = 1
    cfg.default_hooks.checkpoint.interval = 100
    return cfg


def run(cases: list[str], config: Path, folder: Path) -> None:
    env = dict(os.environ, PYTHONPATH=str(REPO), OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    main = 'import tests.interruptions; tests.interruptions.main()'
    command = [sys.executable, '-W', 'ignore', '-c', main, str(config), str(folder), *cases]
    done = subprocess.run(command, env=env, cwd=REPO, capture_output=True, text=True, timeout=3600)
    logs = '\n'.join(path.read_text()[-1500:] for path in sorted(folder.glob('*.log'))[-2:])
    assert done.returncode == 0, done.stdout + done.stderr[-2000:] + logs


@pytest.fixture(scope='module')
def finished(street_data, tmp_path_factory):
    """Runs cases and their uninterrupted counterparts, each once, in one subprocess; returns the folder."""
    folder = tmp_path_factory.mktemp('resume')
    config = folder / 'game.py'
    cfg = small('demo/streets_multilevel.py', street_data, folder)
    cfg.custom_imports.imports.append('tests.interruptions')
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='Interrupt')]
    cfg.dump(config)

    def finish(cases: list[str]) -> Path:
        wanted = ['none-0-0-1', *sorted({f'none-0-0-{case[-1]}' for case in cases}), *cases]
        run([case for case in dict.fromkeys(wanted) if not (folder / case).exists()], config, folder)
        return folder

    return finish


def assert_equal(a, b, tolerance: float, path: str = '') -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_equal(a[key], b[key], tolerance, f'{path}.{key}')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b)):
            assert_equal(x, y, tolerance, f'{path}[{i}]')
    elif isinstance(a, torch.Tensor):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, msg=lambda m: f'{path}: {m}')
    else:
        assert a == b, path


def check(case: str, folder: Path) -> None:
    ranks = int(case[-1])
    expected, ours = (load(folder / name / 'iter_20.pth') for name in (f'none-0-0-{ranks}', case))
    tolerance = 0 if ranks == 1 else 1e-6
    for part in STATE:
        assert_equal(ours[part], expected[part], tolerance, part)
    assert ours['meta']['iter'] == 20


@pytest.mark.parametrize('case', DEFAULT)
def test_an_interrupted_run_ends_with_the_checkpoint_of_the_uninterrupted_one(case, finished):
    check(case, finished(DEFAULT))


@pytest.mark.slow
@pytest.mark.parametrize('case', FULL)
def test_every_interruption_at_every_place_with_and_without_workers_on_one_and_two_ranks(case, finished):
    check(case, finished(FULL))
