"""The clock of a training run, as far as a model needs it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch

from ..random_state import derived_seed


class Share(NamedTuple):
    """The part of an optimiser step that one iteration contributes. The default is a whole step."""

    of_gradient: float = 1.0  # 1 / number of iterations whose mean gradient the step takes
    begins: bool = True  # whether this iteration is the first one of the step
    steps: bool = True  # whether it is the last one of the step


class Clock:
    """A hook writes it before every iteration; the model reads it.

    Without :class:`~mmseg_adapt.engine.AlternatingUpdateHook` it stands still, and every player always moves.

    Attributes:
        iteration: counted from 0.
        movers: the players that move in this iteration.
        shares: player → its :class:`Share`, for players that accumulate gradients.
        steps: player → the number of optimiser steps that it took before this iteration.
        logs: whether this iteration is logged; values that only the log needs are computed only then.
        seed, rank: what :meth:`generator` depends on, besides the iteration.
        runs: whether a hook writes the clock.
    """

    def __init__(self, players: Iterable[str]) -> None:
        self.iteration = 0
        self.movers = set(players)
        self.shares: dict[str, Share] = {}
        self.steps = dict.fromkeys(players, 0)
        self.logs = True
        self.seed = self.rank = 0
        self.runs = False

    def share(self, player: str) -> Share:
        return self.shares.get(player, Share())

    def generator(self) -> torch.Generator:
        """A CPU generator whose draws depend only on the seed, the iteration and the rank."""
        return torch.Generator().manual_seed(derived_seed(self.seed, self.iteration, self.rank))
