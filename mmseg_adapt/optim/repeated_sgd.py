"""SGD as the released AdaptSegNet code actually ran it."""

from __future__ import annotations

import torch
from mmseg.registry import OPTIMIZERS

from ..errors import UserError


@OPTIMIZERS.register_module()
class RepeatedSGD(torch.optim.SGD):
    """SGD whose parameter groups may apply their update ``repeats`` times per step.

    The released AdaptSegNet code lists most backbone tensors three times in one optimiser, and the downsampling
    convolutions four times. PyTorch then applies the update that many times with the same gradient, so the backbone's
    effective learning rate is about three times the nominal one. Later code bases inherited this. Listing a tensor
    twice is deprecated in PyTorch and wrong in its foreach version; this class makes the same arithmetic explicit::

        optimizer=dict(type='RepeatedSGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4),
        paramwise_cfg=dict(custom_keys={'backbone.layer': dict(repeats=3)})

    Args:
        repeats: for groups that do not set it; 1 is plain SGD.
        decay: ``'once'``: every repeat sees the gradient plus weight_decay · p, and each repeat of the very first step
            starts without momentum, as in today's PyTorch. ``'cumulative'``: as in the PyTorch of 2018 (0.3 and 0.4),
            which produced the published numbers. It added the weight decay to the gradient in place, so that repeat k
            sees it k times (three repeats: 1 + 2 + 3), and the first step's repeats share their momentum.

    Raises:
        UserError: If ``decay`` is unknown, or if ``fused=True``, which divides an fp16 gradient by its loss scale at
            every repeat.
    """

    def __init__(self, params, lr: float = 1e-3, repeats: int = 1, decay: str = 'once', **kwargs) -> None:
        if kwargs.get('fused'):
            raise UserError('RepeatedSGD does not support fused=True: remove it')
        if decay not in ('once', 'cumulative'):
            raise UserError(f"RepeatedSGD.decay = {decay!r} must be one of 'once', 'cumulative'")
        if kwargs.get('nesterov'):  # PyTorch's foreach form, the default on a GPU, then writes into the gradient
            kwargs['foreach'] = False
        super().__init__(params, lr=lr, **kwargs)
        self.cumulative = decay == 'cumulative'
        for group in self.param_groups:
            group.setdefault('repeats', repeats)

    def step(self, closure=None):
        loss = closure() if closure is not None else None
        groups = self.param_groups
        fresh = [p for group in groups for p in group['params'] if 'momentum_buffer' not in self.state[p]]
        kept = []
        if self.cumulative:
            kept = [(group, group['weight_decay'], [p.grad for p in group['params']]) for group in groups]
        try:
            for done in range(max(group['repeats'] for group in groups)):
                self.param_groups = [group for group in groups if group['repeats'] > done]
                if self.cumulative:
                    self._decay(kept)
                elif done and fresh:
                    self._forget_momentum(fresh)
                super().step()
        finally:
            self.param_groups = groups
            for group, decay, grads in kept:
                group['weight_decay'] = decay
                for parameter, grad in zip(group['params'], grads):
                    parameter.grad = grad
        return loss

    @torch.no_grad()
    def _decay(self, kept: list[tuple]) -> None:
        """Add the decay to the gradients ourselves instead of letting PyTorch do it; restore them after the step."""
        for group, decay, _ in kept:
            group['weight_decay'] = 0.0
            moved = [p for p in group['params'] if p.grad is not None and decay]
            decayed = torch._foreach_add([p.grad for p in moved], moved, alpha=decay) if moved else ()
            for parameter, grad in zip(moved, decayed):
                parameter.grad = grad

    def _forget_momentum(self, parameters: list[torch.Tensor]) -> None:
        repeated = {id(p) for group in self.param_groups for p in group['params']}
        for parameter in parameters:
            if id(parameter) in repeated:
                self.state[parameter].pop('momentum_buffer', None)
