"""Mixed precision on a machine without a GPU."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmseg.registry import OPTIM_WRAPPERS
from torch import Tensor, nn

from ..errors import UserError

DTYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """Autocast on the CPU; mmengine's ``AmpOptimWrapper`` requires a GPU. Warns about an x86 processor
    without AVX-512, which converts every number to compute in half precision.

    Args:
        dtype: ``'bfloat16'``, which needs no loss scale, or ``'float16'``, whose loss is scaled dynamically.

    Raises:
        UserError: If the dtype is unknown.
    """

    def __init__(self, *args, dtype: str = 'bfloat16', **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if dtype not in DTYPES:
            raise UserError(f'optim_wrapper.dtype = {dtype!r} must be one of {sorted(DTYPES)}')
        if torch.backends.cpu.get_cpu_capability() == 'AVX2':
            said = f'{dtype} takes over ten times as long as float32 on this processor, which lacks instructions for it'
            print_log(f'{said}: leave out --amp, or optim_wrapper.type', 'current', level=logging.WARNING)
        self.dtype = DTYPES[dtype]
        self.loss_scaler = torch.amp.GradScaler('cpu', enabled=dtype == 'float16')

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        with super().optim_context(model), torch.autocast('cpu', dtype=self.dtype):
            yield

    def backward(self, loss: Tensor, **kwargs) -> None:
        super().backward(self.loss_scaler.scale(loss), **kwargs)

    def step(self, **kwargs) -> None:
        if self.clip_grad_kwargs:
            self.loss_scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update()

    def state_dict(self) -> dict:
        return {**super().state_dict(), 'loss_scaler': self.loss_scaler.state_dict()}

    def load_state_dict(self, state_dict: dict) -> None:
        state_dict = dict(state_dict)
        if scale := state_dict.pop('loss_scaler', None):
            self.loss_scaler.load_state_dict(scale)
        super().load_state_dict(state_dict)
