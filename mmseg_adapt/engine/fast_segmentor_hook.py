"""``torch.compile`` and channels-last for the segmentor."""

from __future__ import annotations

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn

from ..errors import UserError
from ..methods.turn import unwrapped


@HOOKS.register_module()
class FastSegmentorHook(Hook):
    """Compile the segmentor's backbone and heads, or lay its weights out channels-last, for training and validation.

    In place: names of weights, checkpoints and distributed wrappers stay as they are::

        default_hooks = dict(fast=dict(type='FastSegmentorHook', channels_last=True, compile=dict(dynamic=False)))

    Args:
        channels_last: convolutions with weights in this layout compute in it whatever the layout of their input.
        compile: arguments of ``torch.compile``, or True for its defaults. ``dict(dynamic=False)`` compiles the size of
            each domain once; by default the second size that is seen is compiled for all sizes, which runs slower.

    Raises:
        UserError: a mode of ``compile`` that captures CUDA graphs.
    """

    def __init__(self, channels_last: bool = False, compile: bool | dict = False) -> None:
        self.channels_last = channels_last
        self.compile = {} if compile is True else compile
        if self.compile and self.compile.get('mode') in ('reduce-overhead', 'max-autotune'):
            raise UserError(
                f'FastSegmentorHook.compile.mode = {self.compile["mode"]!r} captures CUDA graphs, whose outputs the '
                "target's pass overwrites before D has seen the source's: use 'max-autotune-no-cudagraphs'"
            )

    def before_train(self, runner: Runner) -> None:
        model = unwrapped(runner.model)
        segmentor = unwrapped(getattr(model, 'segmentor', model))
        if self.channels_last:
            segmentor.to(memory_format=torch.channels_last)
        if self.compile is not False:
            for name in ('backbone', 'neck', 'decode_head', 'auxiliary_head'):
                part = getattr(segmentor, name, None)
                for module in part if isinstance(part, nn.ModuleList) else filter(None, [part]):
                    # not module.compile(): mmseg calls the forward of its heads itself
                    module.forward = torch.compile(module.forward, **self.compile)
