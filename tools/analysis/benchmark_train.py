"""What the framework costs: one training iteration through the Runner against the plain-PyTorch loop of the tests.

``python tools/analysis/benchmark_train.py [CONFIG] [--size 256 512] [--iterations 20] [--threads 1]``

Both play the same game with the same weights in one process, in turns; the Runner's time is all between two plain
iterations: fetching and preprocessing the batch, the step, every hook of the config. Memory is the peak of all tensors
alive in an iteration on fake tensors (see memory.py), so it needs no computing and is exact.
"""

import copy
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import torch
from memory import GIB, LiveTensors, batch_of
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmseg.registry import DATASETS, HOOKS, MODELS
from prettytable import PrettyTable, TableStyle
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.data import Dataset

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from tests.test_adversarial import PaperLoop  # noqa: E402


def clocks() -> np.ndarray:
    """Now, in seconds and in CPU seconds of this process, which other processes do not disturb."""
    return np.array([time.perf_counter(), time.process_time()])


@DATASETS.register_module()
class FixedPair(Dataset):
    """One pair of noise images, the source's with labels, of a size."""

    def __init__(self, height: int, width: int) -> None:
        domain = dict(pipeline=[dict(type='Resize', scale=(width, height))])
        self.pair = {}
        for name in ('source', 'target'):
            batch = batch_of(domain, 1, labels=name == 'source')
            image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
            self.pair[name] = dict(inputs=image, data_samples=batch['data_samples'][0])

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> dict:
        return self.pair


@HOOKS.register_module()
class TakeTurns(Hook):
    """Lets the plain loop play an iteration after each of the Runner's, and keeps (seconds, CPU seconds) of both."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.ours, self.plain = [], []

    def before_train_epoch(self, runner: Runner) -> None:
        self.loop = PaperLoop(copy.deepcopy(runner.model))
        self.batch = None
        self.started = clocks()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self.ours.append(clocks() - self.started)
        if self.batch is None:
            self.batch = {d: runner.model.data_preprocessor(copy.deepcopy(data_batch[d]), True) for d in data_batch}
            for batch in self.batch.values():
                batch['inputs'] = list(batch['inputs'])
        started = clocks()
        self.loop.iteration(self.batch)
        self.started = clocks()
        self.plain.append(self.started - started)


def times(cfg: Config, size: tuple[int, int], iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """(iterations, 2) seconds and CPU seconds, ours and the plain loop's; the first of each, a warm-up, left out."""
    cfg.train_dataloader = dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type='InfiniteSampler'),
        dataset=dict(type='FixedPair', height=size[0], width=size[1]),
    )
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator', 'test_dataloader', 'test_cfg', 'test_evaluator'):
        cfg[key] = None
    cfg.train_cfg.max_iters = iterations + 1
    cfg.default_hooks.logger.interval = 10
    cfg.default_hooks.checkpoint.update(interval=-1, save_last=False)
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='TakeTurns')]
    cfg.randomness = dict(seed=0)
    with tempfile.TemporaryDirectory() as cfg.work_dir:
        runner = Runner.from_cfg(cfg)
        runner.train()
    turns = next(hook for hook in runner.hooks if isinstance(hook, TakeTurns))
    return np.array(turns.ours[1:]), np.array(turns.plain[1:])


def peaks(cfg: Config, size: tuple[int, int]) -> dict[str, float]:
    """GiB of all tensors alive at the peak of the second iteration."""
    domain, found = dict(pipeline=[dict(type='Resize', scale=size[::-1])]), {}
    for name in ('ours', 'plain'):
        with FakeTensorMode():
            model = MODELS.build(cfg.model).train()
            step = PaperLoop(model).iteration
            if name == 'ours':
                wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
                step = lambda data, m=model, w=wrapper: m.train_step(data, w)  # noqa: E731
            live = LiveTensors([p for p in model.parameters() if p.requires_grad])
            for tensor in (*model.parameters(), *model.buffers()):
                live.count(tensor)
            with live:
                data = {d: batch_of(domain, 1, labels=d == 'source') for d in ('source', 'target')}
                step(data)
                live.forget_peak()
                step(data)
            found[name] = live.peak / GIB
    return found


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', nargs='?', type=Path, default=ROOT / 'configs/adaptseg/gta2cs_multilevel.py')
    parser.add_argument('--size', nargs=2, type=int, default=(256, 512), metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--iterations', type=int, default=20)
    parser.add_argument('--threads', type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    init_default_scope('mmseg')
    MMLogger.get_instance('mmengine', log_level='WARNING')
    cfg = Config.fromfile(args.config)
    cfg.model.segmentor.backbone.init_cfg = None
    cfg.log_level = 'WARNING'
    memory = peaks(cfg, tuple(args.size))
    ours, plain = times(cfg, tuple(args.size), args.iterations)
    table = PrettyTable(['', 'Runner', 'plain loop', 'ratio'])
    table.set_style(TableStyle.MARKDOWN)
    for i, unit in enumerate(('seconds', 'CPU seconds')):
        a, b = np.median(ours[:, i]), np.median(plain[:, i])
        table.add_row([f'median {unit} per iteration', f'{a:.3f}', f'{b:.3f}', f'{a / b:.3f}'])
    gib = memory['ours'], memory['plain']
    table.add_row(['peak of all tensors alive, GiB', *(f'{m:.2f}' for m in gib), f'{gib[0] / gib[1]:.3f}'])
    size = f'{args.size[0]}×{args.size[1]}'
    print(f'{args.config.stem} at {size}, {len(ours)} interleaved iterations, {args.threads} thread(s)\n\n{table}')


if __name__ == '__main__':
    main()
