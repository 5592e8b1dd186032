"""Compare self-training with the releases' order of passes: time, and peak memory of all tensors.

``python tools/analysis/benchmark_selftraining.py [--size 256] [--batch 2] [--iterations 10] [--channels 256] [--mic]``

DAFormer (with ``--mic`` MIC) on MiT-B0 with the same modules, weights and images, float32; both alternate in one
process. Rows: ours with default settings, and with activation checkpointing in the backbone. Times are medians of CPU
seconds of the process. Peaks are counted on fake tensors (memory.py) and are exact. The losses must be equal, and this
is checked too.
"""

import copy
import time
from argparse import ArgumentParser

import numpy as np
import torch
from memory import GIB, LiveTensors, fake_model
from mmengine.config import ConfigDict
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from prettytable import PrettyTable, TableStyle
from released_loop import ReleasedLoop
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mmseg_adapt.engine import ActivationCheckpointHook

BLOCKS = tuple(f'backbone.layers.{i}.1' for i in range(4))
THINGS = (6, 7, 11, 12, 13, 14, 15, 16, 17, 18)


class Ready(nn.Module):
    """A data preprocessor for batches that are already prepared."""

    def forward(self, data, training):
        return data


def config(mic: bool, channels: int = 256) -> ConfigDict:
    backbone = dict(type='DAFormerMixTransformer', embed_dims=32, num_layers=(2,) * 4, num_heads=(1, 2, 5, 8))
    backbone.update(drop_path_rate=0.0, init_cfg=dict(type='Pretrained', checkpoint='not loaded'))
    head = dict(type='DAFormerHead', in_channels=(32, 64, 160, 256), num_classes=19, dropout_ratio=0.0)
    head.update(embed_channels=channels, channels=channels)
    return ConfigDict(
        type='MIC',
        segmentor=dict(type='MultiLevelSegmentor', backbone=backbone, decode_head=head, test_cfg=dict(mode='whole')),
        feature_distance=dict(weight=0.005, classes=THINGS, min_ratio=0.75),
        mask=dict(block=32, ratio=0.7, begin=0 if mic else 10**9),
    )


def player(cfg: ConfigDict) -> nn.Module:
    model = MODELS.build(cfg).train()
    model.data_preprocessor, model.clock.runs = Ready(), True
    return model


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.segmentor.parameters(), lr=6e-5, weight_decay=0.01)


def ours(model: nn.Module):
    """``step(t, images, labels, target)``: one ``train_step``."""
    wrappers = OptimWrapperDict(segmentor=OptimWrapper(optimizer_of(model)))

    def step(t, images, labels, target):
        model.clock.iteration = model.clock.steps['segmentor'] = t
        model.clock.logs = False
        samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]
        source = dict(inputs=images, data_samples=samples)
        log = model.train_step(
            dict(source=source, target=dict(inputs=target, data_samples=[SegDataSample() for _ in target])), wrappers
        )
        return [float(value) for name, value in log.items() if 'loss' in name]

    return step


def theirs(model: nn.Module, mic: bool):
    loop = ReleasedLoop(model, optimizer_of(model), mic)

    def step(t, images, labels, target):
        model.clock.iteration = t
        return list(loop.iteration(images, labels, target, model.clock.generator()).values())

    return step


def batch(t: int, n: int, size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images, and labels in blocks, so that feature cells have a single class."""
    g = torch.Generator().manual_seed(t)
    labels = torch.randint(0, 19, (n, size // 64, size // 64), generator=g).repeat_interleave(64, 1)
    images, target = (torch.randn(n, 3, size, size, generator=g) for _ in range(2))
    return images, labels.repeat_interleave(64, 2), target


def players(cfg: ConfigDict, mic: bool, build=player) -> dict:
    """Name → step, each on its own modules with the same weights."""
    model = build(cfg)
    copies = {name: copy.deepcopy(model) for name in ('releases', 'ours', 'ours, checkpointed')}
    ActivationCheckpointHook(BLOCKS).apply(copies['ours, checkpointed'])
    steps = {name: ours(copy_) for name, copy_ in copies.items() if name != 'releases'}
    return {'releases': theirs(copies['releases'], mic), **steps}, copies


def peaks(cfg: ConfigDict, mic: bool, n: int, size: int) -> dict[str, float]:
    found = {}
    for name in ('releases', 'ours', 'ours, checkpointed'):
        mode = FakeTensorMode()
        model = fake_model(cfg, mode)
        model.data_preprocessor, model.clock.runs = Ready(), True
        with mode:
            if 'checkpointed' in name:
                ActivationCheckpointHook(BLOCKS).apply(model)
            step = theirs(model, mic) if name == 'releases' else ours(model)
            live = LiveTensors([p for p in model.parameters() if p.requires_grad])
            for tensor in (*model.parameters(), *model.buffers()):
                live.count(tensor)
            with live:
                for t in range(2):
                    live.forget_peak()
                    step(
                        t,
                        torch.zeros(n, 3, size, size),
                        torch.zeros(n, size, size, dtype=torch.long),
                        torch.zeros(n, 3, size, size),
                    )
            found[name] = live.peak / GIB
    return found


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', type=int, default=256)
    parser.add_argument('--batch', type=int, default=2, help='images per domain')
    parser.add_argument('--iterations', type=int, default=10)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument(
        '--channels',
        type=int,
        default=256,
        help='channels of the head; the fewer, the larger the share of the backbone',
    )
    parser.add_argument('--mic', action='store_true')
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    init_default_scope('mmseg')
    MMLogger.get_instance('mmengine', log_level='ERROR')
    cfg = config(args.mic, args.channels)
    torch.manual_seed(0)
    steps, _ = players(cfg, args.mic)
    seconds, gap = {name: [] for name in steps}, 0.0
    for t in range(args.iterations + 1):
        logs = {}
        for name, step in steps.items():
            data = batch(t, args.batch, args.size)
            started = time.process_time()
            logs[name] = step(t, *data)
            seconds[name].append(time.process_time() - started)
        if t == 0:  # later losses differ: AdamW's first steps amplify rounding
            gap = max(abs(sum(log) / sum(logs['releases']) - 1) for log in logs.values())
    gib = peaks(cfg, args.mic, args.batch, args.size)
    table = PrettyTable(['', 'CPU s', 'of releases', 'peak GiB', 'of the peak'])
    table.set_style(TableStyle.MARKDOWN)
    table.align = 'r'
    base = np.median(seconds['releases'][1:])
    for name, values in seconds.items():
        median = np.median(values[1:])
        table.add_row(
            [name, f'{median:.3f}', f'{median / base:.3f}', f'{gib[name]:.3f}', f'{gib[name] / gib["releases"]:.3f}']
        )
    method = 'MIC' if args.mic else 'DAFormer'
    images = f'{args.batch} + {args.batch} images of {args.size}²'
    print(f'{method}, MiT-B0, head of {args.channels} channels, {images}')
    print(f'{args.iterations} interleaved iterations, {args.threads} thread(s)')
    print(f'the total losses of the first iteration differ by {gap:.1e}\n\n{table}')


if __name__ == '__main__':
    main()
