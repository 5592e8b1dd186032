"""The mean teacher: Tarvainen and Valpola, "Mean teachers are better role models", NeurIPS 2017, arXiv 1703.01780."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from .ema import ema_alpha, ema_update

TEACHER_BN = ('batch', 'average')


def frozen_copy(module: BaseModule) -> BaseModule:
    """A copy without trainable parameters. MMEngine does not initialise it again; another module's weights fill it."""
    module.requires_grad_(False)
    for part in module.modules():
        if isinstance(part, BaseModule):
            part._is_init = True
    return module


def share_frozen(teacher: nn.Module, student: nn.Module) -> list[str]:
    """Let the teacher use the student's own parameters where these are not trained; return their names."""
    shared = [name for name, parameter in student.named_parameters() if not parameter.requires_grad]
    for name in shared:
        holder, _, leaf = name.rpartition('.')
        teacher.get_submodule(holder)._parameters[leaf] = student.get_parameter(name)
    return shared


def save_shared_once(adapter: nn.Module, shared: list[str]) -> None:
    """Make checkpoints hold parameters that student and teacher share only once, as ``segmentor.…``."""

    def leave_out(_, state: dict, prefix: str, *__) -> None:
        for name in shared:
            state.pop(f'{prefix}teacher.{name}', None)

    def put_back(_, state: dict, prefix: str, *__) -> None:
        for name in shared:
            if f'{prefix}segmentor.{name}' in state:
                state[f'{prefix}teacher.{name}'] = state[f'{prefix}segmentor.{name}']

    adapter._register_state_dict_hook(leave_out)
    adapter._register_load_state_dict_pre_hook(put_back, with_module=True)


def set_teacher_mode(teacher: nn.Module, bn: str = 'batch') -> None:
    """Set training mode, except for dropout and DropPath, as in the releases of DACS and DAFormer.

    With ``bn='batch'``, BN normalises by the batch of target images, which also updates the teacher's own running
    statistics. With ``bn='average'``, BN normalises by running statistics, which :func:`follow` averages like the
    weights. The releases do not have this; use it for batches too small to normalise by.
    """
    teacher.train()
    for module in teacher.modules():
        silent = isinstance(module, _DropoutNd) or type(module).__name__ == 'DropPath'
        if silent or (bn == 'average' and isinstance(module, _BatchNorm)):
            module.training = False


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, steps: int, alpha: float, bn: str = 'batch') -> None:
    """θ' ← a θ' + (1 − a) θ, a = min(1 − 1 / (steps + 1), alpha): the mean of all students so far, until the cap.

    The teacher keeps its own buffers; with ``bn='average'`` the running statistics are averaged like the weights.

    Args:
        steps: student optimiser steps at the teacher's previous update, plus 1; 0 copies the student.
    """
    a = ema_alpha(steps, alpha)
    pairs = [pair for pair in zip(teacher.parameters(), student.parameters()) if pair[0] is not pair[1]]
    ema_update([mine for mine, _ in pairs], [theirs for _, theirs in pairs], a)
    if bn == 'average':
        statistics = ([b for b in m.buffers() if b.is_floating_point()] for m in (teacher, student))
        ema_update(*statistics, a)
