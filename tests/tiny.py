"""Configs of the repository, shrunk to seconds: few small images, few iterations."""

from __future__ import annotations

import gc
import importlib.util
import itertools
import runpy
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import mmengine.config.config
import mmengine.runner.runner
import torch
import yapf.yapflib.yapf_api
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.registry import MODELS
from mmseg.visualization import SegLocalVisualizer

from mmseg_adapt.compat import allow_mmengine_checkpoints

REPO = Path(__file__).parents[1]
CONFIGS = REPO / 'configs'


def tiny_config(name: str, data: Path, work_dir: Path, iterations: int = 2) -> Config:
    """A demo config on the data set below ``data``, with one validation at the end."""
    cfg = Config.fromfile(CONFIGS / name)
    dataset = cfg.train_dataloader.dataset
    for part in (dataset.get('source'), dataset.get('target'), cfg.val_dataloader.dataset, cfg.test_dataloader.dataset):
        if part is not None:
            part.data_root = str(data)
    if 'source' not in dataset:
        dataset.data_root = str(data)
    cfg.train_dataloader.batch_size = 1
    cfg.train_cfg.update(max_iters=iterations, val_interval=iterations)
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.interval = iterations
    cfg.work_dir = str(work_dir)
    cfg.launcher = 'none'
    cfg.randomness = dict(seed=0)
    return cfg


def without_the_overhead_of_a_long_run() -> None:
    """mmengine formats a config's text five times per run, and lets the garbage collector walk over every imported
    object for every data set: 2.3 of a tiny run's 2.7 seconds. A process that never calls this still does it all.

    Runs shorter than a second would then share a name, so the time in theirs goes on with a number.
    """
    yapf.yapflib.yapf_api.FormatCode = mmengine.config.config.FormatCode = lambda text, **_: (text, True)
    gc.collect()
    gc.freeze()
    number = itertools.count()
    clock = SimpleNamespace(time=time.time, localtime=time.localtime)
    clock.strftime = lambda *args: f'{time.strftime(*args)}_{next(number):05d}'
    mmengine.runner.runner.time = clock


def forget_visualizers() -> None:
    """mmengine keeps visualizers by name: one of an earlier test would write into that test's folder, which is gone."""
    SegLocalVisualizer._instance_dict.clear()


def train(cfg: Config) -> Runner:
    cfg.experiment_name = f'{Path(cfg.work_dir).name}_{id(cfg)}'  # mmengine keeps runners by name
    cfg.visualizer.name = cfg.experiment_name  # … and visualizers
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def load(path: Path) -> dict:
    """A checkpoint, loaded safely (the fork's own loads empty the allow-list)."""
    allow_mmengine_checkpoints()
    return torch.load(path, weights_only=True)


def run_tool(name: str, *arguments, monkeypatch) -> None:
    """``python tools/NAME …`` in this process (a subprocess would import torch anew). Raises SystemExit on failure."""
    monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
    monkeypatch.chdir(REPO)
    runpy.run_path(str(REPO / 'tools' / name), run_name='__main__')


def tool(name: str) -> ModuleType:
    """``tools/NAME`` as a module, to call its functions."""
    spec = importlib.util.spec_from_file_location(Path(name).stem, REPO / 'tools' / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_checkpoint(cfg: Config, path: Path) -> Path:
    """What two iterations would write, with random weights and BN statistics, in no time."""
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    state = model.state_dict()
    for key, value in state.items():
        if key.endswith('running_var'):
            value.uniform_(0.5, 1.5)
        elif key.endswith('running_mean') or ('head' in key and value.ndim > 1):
            value.normal_(std=0.1)
    meta = dict(iter=2, dataset_meta=dict(cfg.val_dataloader.dataset.metainfo))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=state, meta=meta), path)
    return path
