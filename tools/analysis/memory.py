"""Peak memory and FLOPs of one training iteration per config, at the sizes of its pipelines, without a GPU.

``python tools/analysis/memory.py configs/adaptseg/gta2cs_multilevel.py [more configs] [--amp bf16]``

Nothing is computed: one iteration runs on fake tensors (PyTorch's ``FakeTensorMode``: shapes and types, no data), after
a first one in which the optimisers create their state. Every storage that an operation returns is counted until it is
freed. "activations" is everything alive at the peak except weights, their gradients and the optimisers' state: what
the backward passes need, and the operands of the operation at the peak. Rounding and fragmentation of the allocator,
the workspace of convolutions and the CUDA context (together about 1 GiB) are not included. Autocast is that of the CPU;
CUDA's keeps bilinear upsampling in float32 (0.07 GiB more for gta2cs_multilevel). FLOPs are those of convolutions and
matrix products of all networks, forward and backward (PyTorch's ``FlopCounterMode``; a multiplication and an addition
are 2).
"""

import gc
import weakref
from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from unittest import mock

import torch
from mmengine.config import Config, DictAction
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from prettytable import PrettyTable, TableStyle
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from mmseg_adapt.cli.launch import enable_amp
from mmseg_adapt.datasets.streams import SOURCE, TARGET, batch_sizes_of, domains_of, is_labelled, parts, with_pipelines
from mmseg_adapt.engine.activation_checkpoint_hook import ActivationCheckpointHook
from mmseg_adapt.errors import UserError, one_sentence
from mmseg_adapt.files.config import config_of

GIB = 2**30
aten = torch.ops.aten


class LiveTensors(TorchDispatchMode):
    """Count the bytes of all live storages. Where an operation needs data, assume that every pixel is valid."""

    def __init__(self, parameters: list[torch.Tensor]) -> None:
        super().__init__()
        self.parameters = parameters
        self.seen: set[int] = set()
        self.live = self.peak = self.gradients_at_peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is aten._local_scalar_dense.default:  # .item()
            return 1.0 if args[0].is_floating_point() else 1
        if func is aten.index.Tensor and (flat := _all_of(*args)) is not None:
            return flat
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self.count(tensor)
        return result

    def count(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self.seen:
            return
        self.seen.add(key)
        weakref.finalize(storage, self._freed, key, size)
        self.live += size
        if self.live > self.peak:
            self.peak = self.live
            self.gradients_at_peak = sum(p.grad.nbytes for p in self.parameters if p.grad is not None)

    def _freed(self, key: int, size: int) -> None:
        self.seen.discard(key)
        self.live -= size

    def forget_peak(self) -> None:
        self.peak = self.gradients_at_peak = 0


def _all_of(tensor: torch.Tensor, indices: list) -> torch.Tensor | None:
    """``tensor[mask]`` for a mask that is all true, or None if there is no mask."""
    for axis, index in enumerate(indices):
        if isinstance(index, torch.Tensor) and index.dtype == torch.bool:
            return tensor.flatten(axis, axis + index.ndim - 1)
    return None


def fake_model(cfg: dict, mode: FakeTensorMode) -> torch.nn.Module:
    """A model in training mode whose tensors have no data, as if they were on the CPU."""
    linspace = partial(torch.linspace, device='cpu')  # transformers read their drop path rates
    with torch.device('meta'), mock.patch.object(torch, 'linspace', linspace):
        model = MODELS.build(cfg)
    fakes: dict[int, torch.Tensor] = {}  # a tensor shared by two modules stays shared

    def fake(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in fakes:
            with mode:
                new = torch.empty(tensor.shape, dtype=tensor.dtype)
            kept = torch.nn.Parameter(new, tensor.requires_grad) if isinstance(tensor, torch.nn.Parameter) else new
            fakes[id(tensor)] = kept
        return fakes[id(tensor)]

    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            tensors.update({name: fake(t) for name, t in tensors.items() if t is not None})
    return model.train()


def image_size(dataset: dict) -> tuple[int, int]:
    """(height, width) of the pipeline's output: that of its last crop or resize.

    Raises:
        UserError: the pipeline does not fix a size.
    """
    for step in reversed(dataset['pipeline']):
        if step['type'] in ('RandomCrop', 'RareClassCrop', 'Resize') and (size := step.get('crop_size')):
            return tuple(size)
        if step['type'] == 'Resize':
            width, height = step['scale']
            return height, width
    raise UserError('the pipeline does not set an image size: add Resize or RandomCrop')


def batch_of(size: tuple[int, int], batch_size: int, labels: bool) -> dict:
    (height, width), samples = size, []
    for _ in range(batch_size):
        sample = SegDataSample(metainfo=dict(img_shape=(height, width)))
        if labels:
            sample.gt_sem_seg = PixelData(data=torch.zeros(1, height, width, dtype=torch.long))
        samples.append(sample)
    return dict(
        inputs=[torch.zeros(3, height, width, dtype=torch.uint8) for _ in range(batch_size)], data_samples=samples
    )


def sizes_of(cfg: Config) -> dict[str, tuple[int, int]]:
    """Stream → (height, width) of the output of its pipeline.

    Raises:
        UserError: a pipeline does not fix a size.
    """
    streams = with_pipelines(domains_of(cfg.train_dataloader.dataset))
    return {name: image_size(next(parts(stream))[1]) for name, stream in streams.items()}


def measure(cfg: Config, sizes: dict[str, tuple[int, int]] | None = None) -> dict[str, float]:
    """GiB: ``state`` (weights and optimisers), ``gradients`` and ``activations`` at the peak, and their sum; TFLOP.

    Args:
        sizes: image size of each stream, by default :func:`sizes_of`.
    """
    counts, sizes = batch_sizes_of(cfg.train_dataloader), sizes or sizes_of(cfg)
    hooks = [dict(h) for h in [*cfg.get('default_hooks', {}).values(), *cfg.get('custom_hooks', [])] if h]
    mode = FakeTensorMode()
    model = fake_model(cfg.model, mode)
    if hasattr(model, 'clock'):
        model.clock.runs, model.clock.logs = True, False
    with mode:
        for hook in (h for h in hooks if h.pop('type') == ActivationCheckpointHook.__name__):
            ActivationCheckpointHook(**hook).apply(model)
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        for part in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]:
            if hasattr(part, 'loss_scaler'):  # without data it would find every gradient infinite
                part.loss_scaler = torch.amp.GradScaler('cpu', enabled=False)
        live = LiveTensors([p for p in model.parameters() if p.requires_grad])
        for tensor in (*model.parameters(), *model.buffers()):
            live.count(tensor)
        with live:
            data = {name: batch_of(sizes[name], counts[name], labels=is_labelled(name)) for name in sizes}
            if TARGET not in data:
                data = data[SOURCE]
            with FlopCounterMode(display=False) as flops:  # it keeps activations alive
                model.train_step(data, wrapper)
            gc.collect()
            state = live.live
            live.forget_peak()
            model.train_step(data, wrapper)
    activations = live.peak - state - live.gradients_at_peak
    found = dict(state=state, gradients=live.gradients_at_peak, activations=activations, total=live.peak)
    return {**{name: value / GIB for name, value in found.items()}, 'tflop': flops.get_total_flops() / 1e12}


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('configs', nargs='+', type=Path)
    parser.add_argument('--amp', choices=['bf16', 'fp16'], help='as tools/train.py')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, help='as tools/train.py')
    args = parser.parse_args()
    init_default_scope('mmseg')
    MMLogger.get_instance('mmengine', log_level='WARNING')
    table = PrettyTable(['config', 'weights, optimisers', 'gradients', 'activations', 'sum', 'TFLOP'])
    table.set_style(TableStyle.MARKDOWN)
    table.align = 'r'
    table.align['config'] = 'l'
    for path in args.configs:
        cfg = config_of(path)
        cfg.merge_from_dict(args.cfg_options)
        if args.amp:
            enable_amp(cfg, args.amp, gpu=False)
        table.add_row(
            [path.stem + (f' --amp {args.amp}' if args.amp else ''), *(f'{v:.2f}' for v in measure(cfg).values())]
        )
    print(table)
    print('\nGiB at the peak of one iteration; add about 1 GiB for the CUDA context, workspaces and the allocator')


if __name__ == '__main__':
    with one_sentence():
        main()
