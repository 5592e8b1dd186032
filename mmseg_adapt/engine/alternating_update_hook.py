"""The clock: who moves at iteration t, how many steps each player took, and the iteration's random numbers."""

from __future__ import annotations

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ..errors import UserError
from ..log.deferred_log_hook import is_logged
from ..methods.clock import Share
from ..methods.turn import unwrapped


@HOOKS.register_module()
class AlternatingUpdateHook(Hook):
    """Decide which players move at iteration t: those with t ≥ begin and (t − begin) divisible by every.

    A player that does not move runs without gradients. Its learning-rate schedule still advances, and a segmentor's BN
    statistics still update. With the defaults, or without this hook, every player moves in every iteration, which is
    AdaptSegNet's schedule.

    A player whose optimiser has ``accumulative_counts`` = n steps at every n-th of its own moves, with the mean
    gradient of the n; the last step of a run uses the remaining moves. One move may have several backward passes.

    Args:
        begin: player → first iteration (from 0) at which it moves; 0 for a player that is not listed.
        every: player → period in iterations; 1 for a player that is not listed.

    Raises:
        UserError: Before the first iteration, if a player is unknown or has no optimiser, an optimiser has no player, a
            period is below 1, or the players of a minimax game (``reversal=True``) do not move or step together.

    Example: D warms up for 500 iterations, then S moves in every second iteration::

        custom_hooks = [dict(type='AlternatingUpdateHook', begin=dict(segmentor=500), every=dict(segmentor=2))]
    """

    def __init__(self, begin: dict[str, int] | None = None, every: dict[str, int] | None = None) -> None:
        self.begin = begin or {}
        self.every = every or {}

    def movers(self, iteration: int, players: tuple[str, ...]) -> set[str]:
        """The players that move at ``iteration``, counted from 0."""

        def moves(player: str) -> bool:
            waited = iteration - self.begin.get(player, 0)
            return waited >= 0 and waited % self.every.get(player, 1) == 0

        return {player for player in players if moves(player)}

    def moves_before(self, iteration: int, player: str) -> int:
        """How many times ``player`` moved before ``iteration``."""
        waited = iteration - self.begin.get(player, 0)
        return max(0, -(-waited // self.every.get(player, 1)))

    def share(self, iteration: int, player: str, counts: int, iterations: int) -> Share:
        """The share that a move at ``iteration`` of ``iterations`` has in a step of ``counts`` moves."""
        done = self.moves_before(iteration, player)
        first = done - done % counts
        moves = min(counts, self.moves_before(iterations, player) - first)
        return Share(1 / moves, begins=done == first, steps=done + 1 == first + moves)

    def before_run(self, runner: Runner) -> None:
        if (clock := getattr(unwrapped(runner.model), 'clock', None)) is not None:
            clock.seed, clock.rank, clock.runs = runner.seed, get_rank(), True

    def before_train(self, runner: Runner) -> None:
        players = unwrapped(runner.model).players
        if unknown := sorted((set(self.begin) | set(self.every)) - set(players)):
            raise UserError(f'AlternatingUpdateHook has {unknown}: its keys must be players, {list(players)}')
        if low := sorted(p for p, period in self.every.items() if period < 1):
            raise UserError(f'AlternatingUpdateHook: every[{low[0]!r}] must be at least 1')
        named = isinstance(runner.optim_wrapper, OptimWrapperDict)
        optimised = set(runner.optim_wrapper.keys()) if named else set()
        if optimised != set(players):
            raise UserError(
                f'optim_wrapper optimises {sorted(optimised)}, but the players are {sorted(players)}: give each player '
                "its own optimiser, optim_wrapper = dict(constructor='PlayerOptimWrapperConstructor', "
                + ', '.join(f'{p}=dict(optimizer=…)' for p in players)
                + ')'
            )
        if getattr(unwrapped(runner.model), 'reversal', False):
            self._check_reversal(runner.optim_wrapper)

    def _check_reversal(self, wrappers: OptimWrapperDict) -> None:
        if any(first > 0 for first in self.begin.values()) or any(period > 1 for period in self.every.values()):
            raise UserError(
                'model.reversal = True updates both players with one backward pass: remove begin and every from '
                'AlternatingUpdateHook, or set reversal = False'
            )
        scalers = [wrapper.loss_scaler for wrapper in wrappers.values() if hasattr(wrapper, 'loss_scaler')]
        if any(scaler.is_enabled() for scaler in scalers):
            raise UserError(
                'model.reversal = True shares one backward pass, but with --amp fp16 each player scales its own loss: '
                'use --amp bf16, or set reversal = False'
            )
        counts = {player: getattr(wrapper, 'accumulates', 1) for player, wrapper in wrappers.items()}
        if len(set(counts.values())) > 1:
            raise UserError(
                f'model.reversal = True shares one backward pass, but accumulative_counts is {counts}: set the same '
                'value for both players'
            )

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        model, iteration = unwrapped(runner.model), runner.iter
        clock, wrappers = model.clock, runner.optim_wrapper
        counts = {player: getattr(wrappers[player], 'accumulates', 1) for player in model.players}
        clock.iteration = iteration
        clock.logs = is_logged(runner, batch_idx)
        clock.movers = self.movers(iteration, model.players)
        clock.steps = {player: self.moves_before(iteration, player) // n for player, n in counts.items()}
        clock.shares = {
            player: self.share(iteration, player, counts[player], runner.max_iters)
            for player in clock.movers
            if counts[player] > 1
        }

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint['clock'] = dict(seed=unwrapped(runner.model).clock.seed)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if runner._resume and 'clock' in checkpoint:  # without a given seed, the run drew one
            unwrapped(runner.model).clock.seed = checkpoint['clock']['seed']
