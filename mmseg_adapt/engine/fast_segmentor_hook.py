"""``torch.compile`` and channels-last for the segmentor."""

from __future__ import annotations

from collections.abc import Callable

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn

from ..errors import UserError
from ..methods.turn import unwrapped


class Compiled:
    """``forward``, a bound method, compiled. A copy of the module compiles the copy's method; a plain compiled function
    would still call the original."""

    def __init__(self, forward: Callable, options: dict) -> None:
        self.forward, self.options = forward, options
        self.compiled = torch.compile(forward, **options)

    def __call__(self, *args, **kwargs):
        return self.compiled(*args, **kwargs)

    def __reduce__(self) -> tuple:  # copy.deepcopy also copies the method's module
        return Compiled, (self.forward, self.options)


@HOOKS.register_module()
class FastSegmentorHook(Hook):
    """Compile the segmentor's backbone and heads, or make its weights channels-last, for training and validation.

    It works in place; the names of weights, checkpoints and distributed wrappers do not change::

        default_hooks = dict(fast=dict(type='FastSegmentorHook', channels_last=True, compile=dict(dynamic=False)))

    Args:
        channels_last: convolutions with weights in this layout compute in it, whatever the layout of their input.
        compile: arguments of ``torch.compile``, or True for its defaults. ``dict(dynamic=False)`` compiles once for
            each domain's size. By default the second size is compiled for all sizes, which runs slower.

    Raises:
        UserError: If the ``compile`` mode captures CUDA graphs.
    """

    priority = 'VERY_HIGH'  # before a hook that holds a wrapper

    def __init__(self, channels_last: bool = False, compile: bool | dict = False) -> None:
        self.channels_last = channels_last
        self.compile = {} if compile is True else compile
        if self.compile and self.compile.get('mode') in ('reduce-overhead', 'max-autotune'):
            raise UserError(
                f'FastSegmentorHook.compile.mode = {self.compile["mode"]!r} captures CUDA graphs, but then the '
                "target's pass overwrites the source's outputs before D sees them: use 'max-autotune-no-cudagraphs'"
            )

    def before_train(self, runner: Runner) -> None:
        segmentor = segmentor_of(runner)
        if self.channels_last:
            segmentor.to(memory_format=torch.channels_last)
            if runner.distributed:  # DDP's buckets keep the layout that the weights had when it was built
                wrap_again(runner)
        if self.compile is False:
            return
        for name in ('backbone', 'neck', 'decode_head', 'auxiliary_head'):
            part = getattr(segmentor, name, None)
            for module in part if isinstance(part, nn.ModuleList) else filter(None, [part]):
                # not module.compile(): mmseg calls the heads' forward directly
                module.forward = Compiled(module.forward, self.compile)


def segmentor_of(runner: Runner) -> nn.Module:
    model = unwrapped(runner.model)
    return unwrapped(getattr(model, 'segmentor', model))


def wrap_again(runner: Runner) -> None:
    """Rebuild the distributed wrappers of the model or of its players."""
    model = unwrapped(runner.model)
    for name, child in model.named_children():
        if is_model_wrapper(child):
            setattr(model, name, child.module)
    runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
