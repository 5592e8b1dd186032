"""SGD as the released AdaptSegNet code in fact ran it."""

from __future__ import annotations

import torch
from mmseg.registry import OPTIMIZERS

from ..errors import UserError


@OPTIMIZERS.register_module()
class RepeatedSGD(torch.optim.SGD):
    """SGD whose parameter groups may ask for their update to be applied ``repeats`` times per step.

    The released AdaptSegNet code lists most backbone tensors three times, and the downsampling convolutions four
    times, in one optimiser: PyTorch then applies the update that often with the same gradient, and the backbone's
    effective learning rate is about three times the nominal one. Later code bases inherited it. Listing a tensor twice
    is deprecated in PyTorch and wrong in its foreach version; this states the same arithmetic explicitly::

        optimizer=dict(type='RepeatedSGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4),
        paramwise_cfg=dict(custom_keys={'backbone.layer': dict(repeats=3)})

    As with a tensor listed several times, the repeats of the very first step each start without momentum. ``repeats``
    defaults to 1, which is SGD.

    Raises:
        UserError: ``fused=True``, which divides an fp16 gradient by its loss scale at every repeat.
    """

    def __init__(self, params, lr: float = 1e-3, repeats: int = 1, **kwargs) -> None:
        if kwargs.get('fused'):
            raise UserError('RepeatedSGD has no fused form: remove fused=True')
        if kwargs.get('nesterov'):  # PyTorch's foreach form, a GPU's default, then writes into the gradient
            kwargs['foreach'] = False
        super().__init__(params, lr=lr, **kwargs)
        for group in self.param_groups:
            group.setdefault('repeats', repeats)

    def step(self, closure=None):
        loss = closure() if closure is not None else None
        groups = self.param_groups
        fresh = [p for group in groups for p in group['params'] if 'momentum_buffer' not in self.state[p]]
        try:
            for done in range(max(group['repeats'] for group in groups)):
                self.param_groups = [group for group in groups if group['repeats'] > done]
                if done:
                    self._forget_momentum(fresh)
                super().step()
        finally:
            self.param_groups = groups
        return loss

    def _forget_momentum(self, parameters: list[torch.Tensor]) -> None:
        repeated = {id(p) for group in self.param_groups for p in group['params']}
        for parameter in parameters:
            if id(parameter) in repeated:
                self.state[parameter].pop('momentum_buffer', None)
