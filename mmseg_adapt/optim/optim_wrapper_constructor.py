"""One optimiser per player."""

from __future__ import annotations

from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from ..errors import UserError
from .merged_groups import MergedOptimWrapperConstructor


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PlayerOptimWrapperConstructor:
    """Build an ``OptimWrapperDict`` whose keys are the attribute names of the model's players.

    Every value is a standard ``optim_wrapper`` config and may have its own ``paramwise_cfg``, ``clip_grad`` and
    ``accumulative_counts``: the number of the player's moves whose mean gradient makes one step (counted by
    :class:`~mmseg_adapt.engine.AlternatingUpdateHook`)::

        optim_wrapper = dict(
            constructor='PlayerOptimWrapperConstructor',
            segmentor=dict(optimizer=dict(type='SGD', lr=2.5e-4)),
            discriminator=dict(optimizer=dict(type='Adam', lr=1e-4)),
        )

    An empty value is not a player: ``discriminator=dict(_delete_=True)`` removes D's optimiser from a ``_base_``, just
    as it removes D from the model.

    Raises:
        UserError: If a key is not a player of the model, a player has no key, a parameter has two optimisers, or a
            count is below 1.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        self.players = optim_wrapper_cfg
        if paramwise_cfg is not None:
            raise UserError('optim_wrapper.paramwise_cfg: move it to the player that it applies to')

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        model = getattr(model, 'module', model)
        players = {key: cfg for key, cfg in self.players.items() if key != 'type' and cfg}
        expected = getattr(model, 'players', tuple(players))
        if set(players) != set(expected):
            raise UserError(f'optim_wrapper has {sorted(players)}: its keys must be the players, {sorted(expected)}')
        wrappers = {player: self._build(model, player, dict(cfg)) for player, cfg in players.items()}
        owner: dict[int, str] = {}
        for player, wrapper in wrappers.items():
            for parameter in (p for group in wrapper.param_groups for p in group['params']):
                if owner.setdefault(id(parameter), player) != player:
                    raise UserError(f'the players {owner[id(parameter)]!r} and {player!r} must not share a parameter')
        return OptimWrapperDict(**wrappers)

    @staticmethod
    def _build(model: nn.Module, player: str, cfg: dict) -> OptimWrapper:
        counts = cfg.pop('accumulative_counts', 1)
        if not isinstance(counts, int) or counts < 1:
            raise UserError(f'optim_wrapper.{player}.accumulative_counts = {counts!r} must be an integer of at least 1')
        paramwise_cfg = cfg.pop('paramwise_cfg', None)
        wrapper = MergedOptimWrapperConstructor(cfg, paramwise_cfg)(getattr(model, player))
        wrapper.accumulates = counts  # mmengine counts backward passes, but a turn has several
        if wrapper.clip_grad_kwargs:
            wrapper.grad_name = f'{player}.{wrapper.grad_name}'  # logged per player
        return wrapper
