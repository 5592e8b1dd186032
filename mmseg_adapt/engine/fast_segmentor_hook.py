"""``torch.compile`` and channels-last for the segmentor."""

from __future__ import annotations

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn

from ..methods.adversarial import unwrapped


@HOOKS.register_module()
class FastSegmentorHook(Hook):
    """Compile the segmentor's backbone and heads, or lay its weights out channels-last, for training and validation.

    In place: names of weights, checkpoints and distributed wrappers stay as they are::

        default_hooks = dict(fast=dict(type='FastSegmentorHook', channels_last=True, compile=dict(dynamic=False)))

    Args:
        channels_last: convolutions with weights in this layout compute in it whatever the layout of their input.
        compile: arguments of ``torch.compile``, or True for its defaults. Each domain's image size is compiled once.
    """

    def __init__(self, channels_last: bool = False, compile: bool | dict = False) -> None:
        self.channels_last = channels_last
        self.compile = {} if compile is True else compile

    def before_train(self, runner: Runner) -> None:
        model = unwrapped(runner.model)
        segmentor = unwrapped(getattr(model, 'segmentor', model))
        if self.channels_last:
            segmentor.to(memory_format=torch.channels_last)
        if self.compile is not False:
            for name in ('backbone', 'neck', 'decode_head', 'auxiliary_head'):
                part = getattr(segmentor, name, None)
                for module in part if isinstance(part, nn.ModuleList) else filter(None, [part]):
                    module.compile(**self.compile)
