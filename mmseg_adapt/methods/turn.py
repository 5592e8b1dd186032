"""Everything in a player's update that is not mathematics: precision, gradient flow, synchronisation, logging."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from ..errors import UserError


def unwrapped(module: nn.Module) -> nn.Module:
    """The module itself, without its distributed wrapper: for calls in which none of its parameters is trained."""
    return module.module if is_model_wrapper(module) else module


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Block gradients to the parameters of ``module``, but let them pass through to its inputs."""
    trained = [p for p in module.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


class Turn:
    """One player's turn: ``with turn.forward(): losses = …``, ``turn.backward(losses)``, ``turn.step()``.

    A player that does not move in this iteration runs without gradients: the other player and the log still need its
    outputs and losses.
    """

    def __init__(self, model: BaseModel, player: str, optim_wrapper: OptimWrapper) -> None:
        self.player = getattr(model, player)
        self.optim_wrapper = optim_wrapper
        self.moves = player in model.clock.movers
        self.share = model.clock.share(player)
        if self.moves and player not in model.clock.shares and getattr(optim_wrapper, 'accumulates', 1) > 1:
            raise UserError(
                f'optim_wrapper.{player}.accumulative_counts needs the clock: add '
                "dict(type='AlternatingUpdateHook') to custom_hooks"
            )
        self.parse_losses = model.parse_losses
        self.log: dict[str, Tensor] = {}

    @contextmanager
    def forward(self, last: bool = True, learns: bool = True) -> Iterator[None]:
        """Run forward under the player's precision. All but the last forward before a step skip the all-reduce.

        Raises:
            UserError: If BN gets one value per channel, for example from a pooled batch of one image.
        """
        with ExitStack() as stack:
            stack.enter_context(torch.set_grad_enabled(self.moves and learns))
            stack.enter_context(self.optim_wrapper.optim_context(self.player))
            if not (last and self.share.steps) and hasattr(self.player, 'no_sync'):
                stack.enter_context(self.player.no_sync())
            try:
                yield
            except ValueError as error:
                if 'more than 1 value per channel' not in str(error):
                    raise
                raise UserError(
                    'BN cannot normalise one image that is pooled to one value: set train_dataloader.batch_size = 2'
                ) from error

    def backward(self, losses: dict[str, Tensor], share: float = 1.0) -> None:
        """Accumulate the gradient of ``share`` times the sum of all entries named ``…loss…``.

        Every entry is logged, multiplied by ``share``; entries of the same name add up.
        """
        if not losses:
            return
        total, log = self.parse_losses(losses)
        if self.moves:
            part = share * self.share.of_gradient
            self.optim_wrapper.backward(total if part == 1 else total * part)
        for name, value in log.items():
            if name != 'loss' and not name.startswith('idle.'):
                value = value.detach() if share == 1 else share * value.detach()
                self.log[name] = self.log[name] + value if name in self.log else value

    def step(self) -> None:
        if self.moves and self.share.steps:
            self.optim_wrapper.step()
            self.optim_wrapper.zero_grad()
