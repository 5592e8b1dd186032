"""Alternate a config's iterations through the Runner with those of a plain loop. The benchmarks time these.

Images are noise with the sizes of the config's pipelines, labels are blocks of random classes: no data set is needed.
"""

import copy
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from memory import batch_of, sizes_of
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from mmseg.registry import DATASETS, HOOKS, MODELS
from paper_loop import LEVELS, PaperLoop
from released_loop import ReleasedLoop
from torch import nn
from torch.utils.data import Dataset
from torch.utils.flop_counter import FlopCounterMode

from mmseg_adapt.datasets.streams import SOURCE, TARGET, is_labelled
from mmseg_adapt.methods import MIC, AdaptSegNet, DAFormer
from mmseg_adapt.models import MultiLevelSegmentor

BLOCK = 64  # pixels with the same class


def clocks() -> np.ndarray:
    """Wait for the device, then return the time in seconds and in CPU seconds of this process."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()])


@DATASETS.register_module()
class NoiseStreams(Dataset):
    """One sample: noise for each stream, and labels for labelled streams.

    Args:
        sizes: stream → (height, width).
    """

    def __init__(self, sizes: dict[str, tuple[int, int]], classes: int = 19) -> None:
        self.metainfo = dict(classes=tuple(map(str, range(classes))))
        self.sample, generator = {}, torch.Generator().manual_seed(0)
        for name, (height, width) in sizes.items():
            (sample,) = batch_of((height, width), 1, labels=is_labelled(name))['data_samples']
            if is_labelled(name):
                cells = torch.randint(0, classes, (-(-height // BLOCK), -(-width // BLOCK)), generator=generator)
                pixels = cells.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)[:height, :width]
                sample.gt_sem_seg.data = pixels[None].clone()
            image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)
            self.sample[name] = dict(inputs=image, data_samples=sample)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> dict:
        return self.sample if TARGET in self.sample else self.sample[SOURCE]


def plain_loop(model: nn.Module) -> Callable[[dict[str, dict]], object] | None:
    """One iteration of the paper's or the release's loop on a copy of the model, or None if there is no such loop.

    The copy is plain, without compilation, activation checkpointing or another memory format.
    """
    if type(getattr(model, 'segmentor', None)) is not MultiLevelSegmentor:
        return None
    model = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    for module in model.modules():
        module.__dict__.pop('forward', None)
    if isinstance(model, AdaptSegNet) and set(model.discriminator) == set(LEVELS):
        return PaperLoop(model).iteration
    if not isinstance(model, DAFormer) or not model.feature_distance:
        return None
    optimizer = torch.optim.AdamW(model.segmentor.parameters(), lr=6e-5, weight_decay=0.01)
    loop = ReleasedLoop(model, optimizer, isinstance(model, MIC))

    def iteration(data: dict[str, dict]) -> object:
        images, target = (torch.stack(data[name]['inputs']) for name in (SOURCE, TARGET))
        labels = torch.cat([sample.gt_sem_seg.data for sample in data[SOURCE]['data_samples']])
        return loop.iteration(images, labels, target, model.clock.generator())

    return iteration


@HOOKS.register_module()
class TakeTurns(Hook):
    """Alternate the Runner with a plain loop, and record (seconds, CPU seconds) per iteration of each.

    Args:
        warm_up: number of first iterations that are not recorded.
        history: length of each log history when the warm-up ends, as after that many iterations.
        block: iterations per turn. The device synchronises once per block, so longer blocks show what the host gains by
            running ahead of the device.
        amp: name of the dtype for autocast in the plain loop.
        flops: count the floating point operations of the Runner's second iteration.

    Attributes:
        ours, plain: times per block after the warm-up; ``plain`` stays empty for a model without a plain loop.
        peaks: GiB allocated on the GPU at the peak, each without what only the other keeps.
        counted: floating point operations, 0 if they were not counted.
    """

    priority = 'LOWEST'

    def __init__(
        self, warm_up: int, history: int = 0, block: int = 1, amp: str | None = None, flops: bool = False
    ) -> None:
        self.warm_up, self.history, self.block = warm_up, history, block
        self.amp, self.flops = amp, flops
        self.ours, self.plain = [], []
        self.peaks: dict[str, float] = {}
        self.counted = 0
        self.loop, self.batch, self.counter = None, None, None

    def before_train_epoch(self, runner: Runner) -> None:
        self.started = clocks()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        if self.flops and batch_idx == 1:
            self.counter = FlopCounterMode(display=False)
            self.counter.__enter__()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if self.counter is not None and batch_idx == 1:
            self.counter.__exit__(None, None, None)
            self.counted = self.counter.get_total_flops()
        if batch_idx == 0:  # cuDNN tries its algorithms in this one
            forget_peak()
        if (batch_idx + 1) % self.block:
            return
        ours = clocks() - self.started
        plain = self._play(runner, data_batch)
        if batch_idx + 1 == self.warm_up and self.history:
            scalars, many = runner.message_hub.log_scalars, np.ones(self.history)
            scalars.update({name: HistoryBuffer(old.current() * many, many) for name, old in scalars.items()})
        if batch_idx >= self.warm_up:
            self.ours.append(ours / self.block)
            self.plain += [plain / self.block] if self.loop else []
        self.started = clocks()

    def _play(self, runner: Runner, data_batch: dict) -> np.ndarray:
        """The plain loop's turn. It starts after the Runner's first turn, which shows what the Runner needs alone."""
        if self.batch is None:
            self.peaks.update(peak_of('ours'))
            self.kept = allocated()
            self.loop = plain_loop(runner.model)
            data = copy.deepcopy(data_batch) if TARGET in data_batch else {}
            self.batch = {name: runner.model.data_preprocessor(batch, True) for name, batch in data.items()}
            for batch in self.batch.values():
                batch['inputs'] = list(batch['inputs'])
            self._turn()  # its optimisers create their state
            forget_peak()
            self._turn()
            self.peaks.update(peak_of('plain', self.kept) if self.loop else {})
        started = clocks()
        for _ in range(self.block):
            self._turn()
        return clocks() - started

    def _turn(self) -> None:
        if self.loop is not None:
            device = next(iter(self.batch.values()))['inputs'][0].device.type
            amp = torch.autocast(device, getattr(torch, self.amp)) if self.amp else nullcontext()
            with amp:
                self.loop(self.batch)


def allocated() -> int:
    return torch.cuda.memory_allocated() if torch.cuda.is_available() else 0


def forget_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_of(name: str, others: int = 0) -> dict[str, float]:
    """GiB at the peak, minus the bytes that ``others`` keep; empty without a GPU."""
    if not torch.cuda.is_available():
        return {}
    return {name: (torch.cuda.max_memory_allocated() - others) / 2**30}


def random_weights(cfg: Config, folder: Path) -> None:
    """Make a config whose segmentor or backbone loads weights start from random ones.

    A method that compares with the initial network does not start without weights, so it loads a file of random ones.
    """
    segmentor = cfg.model.get('segmentor', cfg.model)
    backbone = segmentor.backbone
    needed = cfg.model.get('feature_distance') and backbone.get('init_cfg')
    backbone.init_cfg = segmentor.init_cfg = None
    if 'pretrained' in backbone:  # a backbone from timm
        backbone.pretrained = False
    if needed:
        file = folder / 'random.pth'
        torch.save(MODELS.build(backbone).state_dict(), file)
        backbone.init_cfg = dict(type='Pretrained', checkpoint=str(file))


def run(cfg: Config, iterations: int, hook: dict, sizes: dict[str, tuple[int, int]] | None = None) -> Hook:
    """Train on noise for ``iterations`` with an additional hook, and return the hook.

    Args:
        sizes: stream → (height, width); by default the output sizes of the config's pipelines.
    """
    cfg = copy.deepcopy(cfg)
    batch_size, sizes = cfg.train_dataloader.batch_size, sizes or sizes_of(cfg)
    cfg.train_dataloader = dict(
        batch_size=batch_size,
        num_workers=0,
        sampler=dict(type='InfiniteSampler'),
        dataset=dict(type='NoiseStreams', sizes=sizes),
    )
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator', 'test_dataloader', 'test_cfg', 'test_evaluator'):
        cfg[key] = None
    cfg.train_cfg.max_iters = iterations
    cfg.default_hooks.checkpoint.update(interval=-1, save_last=False)
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]
    cfg.randomness = dict(seed=0)
    cfg.log_level = 'WARNING'
    cfg.experiment_name = cfg.visualizer.name = f'{hook["type"]}_{time.time_ns()}'  # mmengine stores instances by name
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir = folder
        random_weights(cfg, Path(folder))
        runner = Runner.from_cfg(cfg)
        runner.train()
    return next(found for found in runner.hooks if type(found).__name__ == hook['type'])
