"""What time it is, as far as a model needs to know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch

from ..random_state import derived_seed


class Share(NamedTuple):
    """The part of an optimiser step that one iteration contributes: by default all of it."""

    of_gradient: float = 1.0  # 1 / number of iterations whose mean gradient the step takes
    begins: bool = True  # whether this iteration is the first of them
    steps: bool = True  # whether it is the last of them


class Clock:
    """Written before every iteration by the hook that is the clock, read by the model.

    Without :class:`~mmseg_adapt.engine.AlternatingUpdateHook` it stands still: every player moves in every iteration.

    Attributes:
        iteration: counted from 0.
        movers: the players that move at this iteration.
        shares: player → its :class:`Share`, for players that accumulate gradients.
        steps: player → the optimiser steps that it has taken before this iteration.
        logs: whether this iteration is logged; what only the log needs is computed only then.
        seed, rank: what :meth:`generator` depends on besides the iteration.
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
        """A generator on the CPU whose draws depend on the seed, the iteration and the rank alone."""
        return torch.Generator().manual_seed(derived_seed(self.seed, self.iteration, self.rank))
