"""Stage b: time, memory and TFLOP/s of training at the published sizes, alternating with the paper's plain loop.

Images are noise. If the card does not have enough memory for a row, the row is listed by name and the next one starts.
"""

import time
from argparse import Namespace
from collections.abc import Iterator

import numpy as np
import torch
from kit import ROOT, Results, arguments, synchronize
from memory import sizes_of
from mmengine.config import Config
from small_networks import shrink_model
from turns import run

from mmseg_adapt.cli.launch import enable_amp

FAST = dict(channels_last=True)
ROWS = (  # config, precision, FastSegmentorHook: one line per row; missing configs are skipped
    ('adaptseg/gta2cs_multilevel', 'fp32', {}),
    ('adaptseg/gta2cs_multilevel', 'tf32', {}),
    ('adaptseg/gta2cs_multilevel', 'bf16', {}),
    ('adaptseg/gta2cs_multilevel', 'bf16', FAST),
    ('daformer/gta2cs_mitb5', 'bf16', {}),
    ('mic/gta2cs_mitb5', 'bf16', {}),
    ('mic/gta2cs_hrda_mitb5', 'bf16', {}),
    ('vfm/gta2cs_vitb', 'bf16', {}),
    ('adaptseg/gta2cs_multilevel_8gb', 'fp32', {}),
    ('adaptseg/gta2cs_multilevel', 'bf16', dict(FAST, compile=dict(dynamic=False))),
    ('daformer/gta2cs_mitb5', 'fp32', {}),
    ('mic/gta2cs_mitb5', 'fp32', {}),
)
BLOCK = 10  # iterations per turn


def present() -> Iterator[tuple[str, str, str, dict]]:
    """(name, config, precision, fast) of every row whose config exists."""
    for config, precision, fast in ROWS:
        if (ROOT / f'configs/{config}.py').exists():
            name = ' + '.join([f'{config}, {precision}', *(key.replace('_', '-') for key in fast)])
            yield name, config, precision, fast


def row_config(
    config: str, precision: str, fast: dict, tiny: bool, gpu: bool | None = None
) -> tuple[Config, dict[str, tuple[int, int]]]:
    """The config of a row as trained, and the sizes of its streams. ``gpu``: whether to use the GPU's autocast."""
    cfg = Config.fromfile(ROOT / f'configs/{config}.py')
    cfg.default_hooks.logger.interval = 50
    if precision == 'bf16':
        enable_amp(cfg, 'bf16', gpu)
    if fast:
        cfg.default_hooks.fast = dict(type='FastSegmentorHook', **fast)
    if not tiny:
        return cfg, sizes_of(cfg)
    shrink_model(cfg.model)
    if 'compile' in fast:
        cfg.default_hooks.fast.compile = dict(backend='eager')
    side = 56 if config.startswith('vfm/') else 64  # a multiple of the patch size
    return cfg, dict.fromkeys(sizes_of(cfg), (side, side))


def matrix_product(device: str, side: int) -> float:
    """TFLOP/s of one bf16 product of two large random matrices, the median of ten."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(13):
        synchronize()
        started = time.perf_counter()
        a @ b
        synchronize()
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / float(np.median(seconds[3:])) / 1e12


def measure(config: str, precision: str, fast: dict, args: Namespace) -> dict:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == 'tf32'
    cfg, sizes = row_config(config, precision, fast, args.tiny)
    block, blocks = (2, 1) if args.tiny else (BLOCK, 2)
    turns = dict(type='TakeTurns', warm_up=block, block=block, flops='compile' not in fast)
    if precision == 'bf16':
        turns['amp'] = 'bfloat16'
    found = run(cfg, (1 + blocks) * block, turns, sizes)
    ours, plain = (np.array(values)[:, 0] if values else None for values in (found.ours, found.plain))
    return dict(
        config=config,
        precision=precision,
        fast=sorted(fast),
        sizes=sizes,
        seconds=float(np.median(ours)),
        plain_seconds=None if plain is None else float(np.median(plain)),
        peak_gib=found.peaks.get('ours'),
        plain_peak_gib=found.peaks.get('plain'),
        flops=found.counted,
    )


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    results = Results(args.out, 'speed')
    peak = matrix_product(args.device, 256 if args.tiny else 8192)
    results.add(name='one bf16 matrix product', tflops=peak)
    for name, *row in present():
        with results.row(name):
            results.add(name=name, **measure(*row, args))
        torch.compiler.reset()


if __name__ == '__main__':
    main()
