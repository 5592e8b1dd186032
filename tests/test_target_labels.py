"""Adaptation needs no target labels: it trains where reading one would fail."""

import os
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg_adapt.errors import UserError

from .test_benchmarks import shrink
from .test_benchmarks import trees as trees  # noqa: PLC0414  (a fixture)
from .test_training import scalars
from .tiny import CONFIGS, tiny_config, train

forbidden: list[str] = []
EVENTS = ('open', 'os.listdir', 'os.scandir')


def refuse(event: str, arguments: tuple) -> None:
    """An audit hook, which Python calls at every access to a file and nobody can remove or bypass from Python."""
    if forbidden and event in EVENTS and isinstance(arguments[0], (str, bytes, os.PathLike)):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if any(path.startswith(folder) for folder in forbidden):
            raise PermissionError(f'{event} {path}')


@pytest.fixture(scope='module', autouse=True)
def _audit():
    sys.addaudithook(refuse)


@pytest.fixture
def guarded():
    """Call it with folders that nobody may open for the rest of the test."""
    yield lambda *folders: forbidden.extend(map(str, folders))
    forbidden.clear()


def make_unreadable(folder: Path) -> None:
    """A link to itself: not even the system's own calls, or root, get anywhere through it."""
    folder.rename(folder.with_name(f'{folder.name}_away'))
    folder.symlink_to(folder.name)


def without_validation(cfg: Config) -> Config:
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    return cfg


def test_the_guard_fails_a_run_that_reads_a_label(street_data, tmp_path, guarded):
    guarded(street_data / 'target/val/labels')
    with pytest.raises(UserError, match=r'val/labels cannot be listed \(os.scandir .*target/val/labels\)'):
        train(tiny_config('demo/streets_singlelevel.py', street_data, tmp_path / 'validates'))
    train(without_validation(tiny_config('demo/streets_singlelevel.py', street_data, tmp_path / 'does not')))
    assert (tmp_path / 'does not/iter_2.pth').exists()


def test_gta_to_cityscapes_trains_while_every_label_of_cityscapes_is_unreadable(trees, tmp_path, guarded):
    cfg = Config.fromfile(CONFIGS / 'adaptseg/gta2cs_multilevel.py')
    shrink(cfg, trees)
    labels = trees / 'cityscapes/gtFine'
    make_unreadable(labels)
    try:
        with pytest.raises(OSError, match='Too many levels of symbolic links'):
            os.stat(labels / 'train')
        guarded(labels, labels.with_name('gtFine_away'))
        cfg.work_dir, cfg.launcher = str(tmp_path), 'none'
        train(without_validation(cfg))
    finally:
        labels.unlink()
        labels.with_name('gtFine_away').rename(labels)
    assert {'decode.loss_adv', 'discriminator.aux.loss_dis'} <= scalars(tmp_path)[-1].keys()
