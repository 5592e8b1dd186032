"""Solvers: generators that change ``x`` in place and yield the objective, (N,), before each step.

They ask ``evaluate`` for the objective's value and gradient: :func:`value_and_gradient` of a loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .recipe import Recipe

Loss = Callable[[Tensor], Tensor]  # (N, 3, H, W) → (N,)
Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]  # (N, 3, H, W) → (N,), (N, 3, H, W)


def value_and_gradient(loss: Loss, x: Tensor) -> tuple[Tensor, Tensor]:
    """The images of a batch are separate problems: the gradient of the sum is each image's own."""
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        values = loss(leaf)
    return values.detach(), torch.autograd.grad(values.sum(), leaf)[0]


def normalised_gradient(evaluate: Evaluate, x: Tensor, iterations: int, recipe: Recipe) -> Iterator[Tensor]:
    """The paper's solver: x^i = x^{i−1} − w^{i−1} g^{i−1} / ‖g^{i−1}‖_1 with w^{i−1} = β (I − i) / I.

    ``norm='mean'`` divides by the mean absolute gradient, so that a pixel moves by about w grey levels. ``'sum'`` is
    the literal formula: a pixel of a photograph then moves by about 1e-3 grey levels in all iterations together.
    """
    for i in range(1, iterations + 1):
        values, gradient = evaluate(x)
        size = gradient.abs().flatten(1)
        size = size.mean(1) if recipe.norm == 'mean' else size.sum(1)
        step = recipe.beta * (iterations - i) / iterations
        x -= step * gradient / size.clamp_min(torch.finfo(size.dtype).tiny).view(-1, 1, 1, 1)
        yield values


def adam(evaluate: Evaluate, x: Tensor, iterations: int, recipe: Recipe) -> Iterator[Tensor]:
    """Adam with a step that falls from β grey levels to 0, as in the paper."""
    optimiser = torch.optim.Adam([x])
    for i in range(1, iterations + 1):
        optimiser.param_groups[0]['lr'] = recipe.beta * (iterations - i) / iterations
        values, x.grad = evaluate(x)
        optimiser.step()
        yield values
    x.grad = None


def lbfgs(evaluate: Evaluate, x: Tensor, iterations: int, recipe: Recipe) -> Iterator[Tensor]:
    """L-BFGS with a line search (strong Wolfe conditions) on one image, yielding every ``patience`` iterations.

    The variable is x in units of ``β √(3HW)`` grey levels, so that a first step of length 1 is large enough. A line
    search may need several gradients: at most 1 + 1.25 ``patience`` between two yields. Each step starts where the last
    one ended, so that gradient is reused.
    """
    unit = recipe.beta * x[0].numel() ** 0.5
    z = (x / unit).contiguous()
    options = dict(history_size=10, line_search_fn='strong_wolfe', tolerance_grad=0, tolerance_change=0)
    optimiser = torch.optim.LBFGS([z], lr=1, **options)

    last = None  # the point, its value and its gradient

    def closure() -> Tensor:
        nonlocal last
        if last is None or not torch.equal(last[0], z):
            values, gradient = evaluate(z * unit)
            last = z.clone(), values, (gradient * unit).contiguous()
        z.grad = last[2]
        return last[1].sum()

    for start in range(0, iterations, recipe.patience):
        steps = min(recipe.patience, iterations - start)
        optimiser.param_groups[0].update(max_iter=steps, max_eval=steps + steps // 4 + 1)
        yield closure().view(1)
        optimiser.step(closure)
        x.copy_(z * unit)


SOLVERS = {'normalised': normalised_gradient, 'adam': adam, 'lbfgs': lbfgs}
