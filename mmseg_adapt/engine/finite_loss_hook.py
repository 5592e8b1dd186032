"""NaN and divergence: stop the run, or skip the step."""

from __future__ import annotations

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ..errors import UserError
from ..log.deferred_log_hook import gather, is_logged

SMALLEST_SCALE = 2.0**-10  # of an fp16 loss: 26 halvings below its initial value
CURE = 'lower the learning rate or lambda_adv, or clip its gradient (clip_grad)'


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop and name the loss, its player and the iteration (:class:`CheckpointGuardHook` keeps bad weights off disk).

    Args:
        interval: check the losses every ``interval`` iterations. By default they are checked at logged iterations,
            where all losses since the last check cost nothing; any other check waits for the device.
        skip: skip a step whose gradient is not finite, instead of stopping at its loss. The player keeps its
            weights and its optimiser's state. Every step then waits for the device, as in fp16. All ranks skip
            together, since they have the same gradient. In fp16 the loss scale already skips such steps; here
            they count too.
        max_skips: stop after this many skipped steps of one player in a row.

    Raises:
        UserError: a loss is NaN or infinite, or an fp16 loss scale has collapsed since no step was possible;
            with ``skip``, ``max_skips`` steps of a player in a row were skipped.
    """

    priority = 'ABOVE_NORMAL'

    def __init__(self, interval: int | None = None, skip: bool = False, max_skips: int = 10) -> None:
        self.interval = interval
        self.skip = skip
        self.max_skips = max_skips
        self.seen = 0  # iterations whose losses have been checked
        self.in_a_row: dict[str, int] = {}
        self.skipped: set[str] = set()
        self.scalers: dict[str, torch.amp.GradScaler] = {}
        self.scales: dict[str, float] = {}

    def before_train(self, runner: Runner) -> None:
        self.seen = runner.iter
        wrappers = runner.optim_wrapper
        named = dict(wrappers.items()) if isinstance(wrappers, OptimWrapperDict) else {'segmentor': wrappers}
        scalers = {player: getattr(wrapper, 'loss_scaler', None) for player, wrapper in named.items()}
        self.scalers = {player: scaler for player, scaler in scalers.items() if scaler and scaler.is_enabled()}
        self.scales = {player: scaler.get_scale() for player, scaler in self.scalers.items()}
        for player, wrapper in named.items() if self.skip else ():
            wrapper.optimizer.register_step_pre_hook(lambda optimizer, *_, p=player: self._look(optimizer, p))

    def _look(self, optimizer: torch.optim.Optimizer, player: str) -> None:
        """Before a step: drop gradients that are not finite, so that the optimiser keeps weights and state."""
        parameters = [p for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
        if not parameters:
            return
        norms = torch._foreach_norm([p.grad for p in parameters])
        if torch.isfinite(torch.stack([norm.float() for norm in norms])).all():
            self.in_a_row[player] = 0
            return
        self.skipped.add(player)
        self.in_a_row[player] = self.in_a_row.get(player, 0) + 1
        for parameter in parameters:
            parameter.grad = None

    def _look_at_scales(self) -> None:
        """A scale drops when the scaler has skipped a step; the optimiser does not know about it."""
        for player, scaler in self.scalers.items():
            before, self.scales[player] = self.scales[player], scaler.get_scale()
            if self.scales[player] < before:
                self.skipped.add(player)
                self.in_a_row[player] = self.in_a_row.get(player, 0) + 1

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        if self.skip:
            self._look_at_scales()
        due = self.every_n_train_iters(runner, self.interval) if self.interval else is_logged(runner, batch_idx)
        if not (self.skipped or (due and not self.skip)):
            return
        gather(runner)
        iteration, bad = self._not_finite(runner)
        kept = f'the last good checkpoint in {runner.work_dir} is untouched'
        if not self.skip and bad:
            raise UserError(f'{", ".join(bad)} is not finite at iteration {iteration}: {CURE}; {kept}')
        for player, scaler in self.scalers.items():
            if scaler.get_scale() < SMALLEST_SCALE:
                raise UserError(
                    f'the loss scale of the {player} dropped to {scaler.get_scale():.0e} at iteration '
                    f'{runner.iter + 1}, because its gradients overflow in fp16: use --amp bf16, or {CURE}; {kept}'
                )
        for player in sorted(self.skipped):
            times = self.in_a_row[player]
            losses = f' ({", ".join(bad)} is not finite)' if bad else ''
            message = f'the gradient of the {player} is not finite at iteration {runner.iter + 1}{losses}'
            if times >= self.max_skips:
                raise UserError(f'{message}, {times} times in a row: {CURE}; {kept}')
            runner.logger.warning(f'{message}: its step is skipped')
        self.skipped = set()

    def _not_finite(self, runner: Runner) -> tuple[int, list[str]]:
        """The first iteration since the last check with a NaN or infinite loss, and these losses with their players."""
        now, since = runner.iter + 1, 1 if self.skip else runner.iter + 1 - self.seen
        self.seen = now
        found: dict[int, list[str]] = {}
        for name, history in runner.message_hub.log_scalars.items():
            if not name.startswith('train/') or 'loss' not in name:
                continue
            finite = np.isfinite(history.data[0][-since:])
            if not finite.all():
                found.setdefault(now - len(finite) + 1 + int(finite.argmin()), []).append(name.removeprefix('train/'))
        return min(found, default=now), [
            f'{name} of the {"discriminator" if name.startswith("discriminator.") else "segmentor"}'
            for name in found.get(min(found, default=now), [])
        ]
