"""Gradient reversal: Ganin and Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", ICML 2015."""

from __future__ import annotations

import torch
from torch import Tensor


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradient, None


def reversed_gradient(x: Tensor, weight: float) -> Tensor:
    """Return ``x``, of any shape, unchanged. Backward, the gradient is multiplied by −weight.

    >>> x = torch.ones(1, requires_grad=True)
    >>> reversed_gradient(3 * x, 0.5).sum().backward()
    >>> x.grad
    tensor([-1.5000])
    """
    return _Reversal.apply(x, weight)
