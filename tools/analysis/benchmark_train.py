"""Measure the cost of the framework: one iteration through the Runner against AdaptSegNet's loop in plain PyTorch.

``python tools/analysis/benchmark_train.py [--size 256 512] [--width 64] [--iterations 20] [--history 150000]``

Both run the same training with the same weights, alternating in one process. The Runner's time is everything between
two plain iterations: fetching and preprocessing the batch, the step, every hook of the config. With a tiny network,
``--width 2 --size 64 64``, only the host's cost per iteration remains, which a faster device does not reduce. Times are
medians; the extra cost of logged iterations has its own row.

Waits are operations whose result would make the host wait for a GPU (waits.py). Memory is the peak of all live tensors
of an iteration on fake tensors (memory.py). It is exact and needs no computation.
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import torch
from memory import GIB, LiveTensors, batch_of, fake_model
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from paper_loop import PaperLoop
from prettytable import PrettyTable, TableStyle
from torch._subclasses.fake_tensor import FakeTensorMode
from turns import run
from waits import Waits

from mmseg_adapt.datasets.streams import SOURCE, TARGET

ROOT = Path(__file__).parents[2]


@HOOKS.register_module()
class CountWaits(Hook):
    """Counts, per iteration, the operations for which the host would wait for a GPU."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.found: list[int] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        self.waits = Waits(wrapper.optimizer for wrapper in runner.optim_wrapper.values())
        self.waits.__enter__()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self.waits.__exit__(None, None, None)
        self.found.append(self.waits.found.total())


def thin(cfg: Config, width: int) -> None:
    """Give backbone and discriminators ``width`` channels instead of 64, at the same depth."""
    cfg.model.segmentor.backbone.update(stem_channels=width, base_channels=width)
    for head in ('decode_head', 'auxiliary_head'):
        cfg.model.segmentor[head].in_channels = cfg.model.segmentor[head].in_channels * width // 64
    for discriminator in cfg.model.discriminator.values():
        discriminator.base_channels = width


def peaks(cfg: Config, size: tuple[int, int]) -> dict[str, float]:
    """GiB of all live tensors at the peak of the second iteration."""
    found = {}
    for name in ('ours', 'plain'):
        mode = FakeTensorMode()
        model = fake_model(cfg.model, mode)
        with mode:
            step = PaperLoop(model).iteration
            if name == 'ours':
                wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
                step = lambda data, m=model, w=wrapper: m.train_step(data, w)  # noqa: E731
            live = LiveTensors([p for p in model.parameters() if p.requires_grad])
            for tensor in (*model.parameters(), *model.buffers()):
                live.count(tensor)
            with live:
                data = {d: batch_of(size, 1, labels=d == 'source') for d in ('source', 'target')}
                for batch in data.values():  # the plain loop gets prepared batches
                    batch['inputs'] = [image.float() for image in batch['inputs']]
                step(data)
                live.forget_peak()
                step(data)
            found[name] = live.peak / GIB
    return found


def table_of(cfg: Config, size: tuple[int, int], iterations: int, history: int) -> PrettyTable:
    interval = cfg.default_hooks.logger.interval
    sizes = {SOURCE: size, TARGET: size}
    hook = dict(type='TakeTurns', warm_up=interval, history=history)
    turns = run(cfg, interval + iterations, hook, sizes)
    ours, plain = np.array(turns.ours), np.array(turns.plain)
    table = PrettyTable(['', 'Runner', 'plain loop', 'difference', 'ratio'])
    table.set_style(TableStyle.MARKDOWN)
    table.align = 'r'
    logged = (interval + 1 + np.arange(iterations)) % interval == 0
    for name, rows in (('', ~logged), (', logged', logged)):
        for i, unit in enumerate(('ms', 'CPU ms')) if rows.any() else ():
            a, b = 1000 * np.median(ours[rows, i]), 1000 * np.median(plain[rows, i])
            table.add_row([f'{unit} per iteration{name}', f'{a:.2f}', f'{b:.2f}', f'{a - b:.2f}', f'{a / b:.3f}'])
    waits = run(cfg, interval, dict(type='CountWaits'), sizes).found
    for name, value in (('', np.median(waits[2:-1])), (', logged', waits[-1])):
        table.add_row([f'waits per iteration{name}', f'{value:g}', '', '', ''])
    gib = peaks(cfg, size)
    a, b = gib['ours'], gib['plain']
    table.add_row(['peak of all tensors alive, GiB', f'{a:.2f}', f'{b:.2f}', f'{a - b:.2f}', f'{a / b:.3f}'])
    return table


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', nargs='?', type=Path, default=ROOT / 'configs/adaptseg/gta2cs_multilevel.py')
    parser.add_argument('--size', nargs=2, type=int, default=(256, 512), metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--width', type=int, default=64, help='channels of the first stage and of the discriminators')
    parser.add_argument(
        '--iterations', type=int, default=20, help='iterations to measure, after one log interval of warm-up'
    )
    parser.add_argument(
        '--history', type=int, default=0, help='number of values that the log already contains per scalar'
    )
    parser.add_argument('--threads', type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    init_default_scope('mmseg')
    MMLogger.get_instance('mmengine', log_level='WARNING')
    cfg = Config.fromfile(args.config)
    cfg.default_hooks.logger.interval = 10
    if args.width != 64:
        thin(cfg, args.width)
    table = table_of(cfg, tuple(args.size), args.iterations, args.history)
    size = f'{args.size[0]}×{args.size[1]}, width {args.width}'
    print(
        f'{args.config.stem} at {size}, {args.iterations} interleaved iterations, {args.threads} thread(s)\n\n{table}'
    )


if __name__ == '__main__':
    main()
