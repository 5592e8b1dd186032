"""The mean teacher: an exponential moving average of the student's parameters (Tarvainen and Valpola, NIPS 2017)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def ema_alpha(steps: int, cap: float) -> float:
    """The share of itself that the teacher keeps after ``steps`` student steps: min(1 − 1 / (steps + 1), cap).

    Until the cap is reached, the teacher is the plain mean of all students so far; at 0 steps it is a copy.

    >>> [ema_alpha(steps, cap=0.99) for steps in (0, 1, 3, 5000)]
    [0.0, 0.5, 0.75, 0.99]
    """
    return min(1 - 1 / (steps + 1), cap)


@torch.no_grad()
def ema_update(teacher: Iterable[Tensor], student: Iterable[Tensor], alpha: float) -> None:
    """teacher ← alpha · teacher + (1 − alpha) · student, in place; an exact copy if ``alpha`` is 0.

    Args:
        teacher: ``module.parameters()``. Do not pass buffers (BN statistics): the releases do not average them.
        student: the student's parameters, in the same order.
    """
    teacher, student = list(teacher), list(student)
    if len(teacher) != len(student):
        raise ValueError(f'the teacher has {len(teacher)} parameters, but the student has {len(student)}')
    if alpha == 0:
        torch._foreach_copy_(teacher, student)
    else:
        torch._foreach_mul_(teacher, alpha)
        torch._foreach_add_(teacher, student, alpha=1 - alpha)
