"""Trade time for memory: recompute activations in the backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from ..errors import UserError
from ..methods.turn import unwrapped


@HOOKS.register_module()
class ActivationCheckpointHook(Hook):
    """Keep only the input of each block, and recompute the block when its gradient is needed.

    Training is unchanged, to the bit on one machine. Unlike mmengine's ``activation_checkpointing`` and mmseg's
    ``with_cp``, the second computation does not update BN's running statistics, which would count a batch twice.

    Args:
        blocks: names of the segmentor's modules, such as ``'backbone.layer3'``, or ``'backbone.layers.2.1'`` of MiT.
            Every child of an ``nn.Sequential`` or ``nn.ModuleList`` is a separate block.

    Raises:
        UserError: Before the first iteration, if the segmentor has no part of that name.
    """

    def __init__(self, blocks: tuple[str, ...] = tuple(f'backbone.layer{i}' for i in range(1, 5))) -> None:  # type: ignore[name-defined]
        self.blocks = blocks

    def before_train(self, runner: Runner) -> None:
        self.apply(unwrapped(runner.model))

    def apply(self, model: nn.Module) -> None:
        """Make each block of the model's segmentor recompute its forward pass."""
        checkpoint_blocks(unwrapped(getattr(model, 'segmentor', model)), self.blocks)


def checkpoint_blocks(segmentor: nn.Module, blocks: tuple[str, ...]) -> None:
    modules = dict(segmentor.named_modules())
    for name in blocks:
        if name not in modules:
            raise UserError(f'ActivationCheckpointHook.blocks has {name!r}, which is not in the segmentor: correct it')
        module = modules[name]
        for block in module if isinstance(module, nn.Sequential | nn.ModuleList) else [module]:
            norms = [m for m in block.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
            contexts = partial(_contexts, norms)
            block.forward = partial(checkpoint, block.forward, use_reentrant=False, context_fn=contexts)


def _contexts(norms: list[_BatchNorm]) -> tuple:
    return nullcontext(), _statistics_kept(norms)


@contextmanager
def _statistics_kept(norms: list[_BatchNorm]) -> Iterator[None]:
    """Normalise by the batch as in training, but do not change the running statistics."""
    kept = [(norm.running_mean, norm.running_var, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.running_mean, norm.running_var = norm.running_mean.clone(), norm.running_var.clone()
        norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, buffers in zip(norms, kept):
            norm.running_mean, norm.running_var, norm.num_batches_tracked = buffers
