"""Stop a run whose losses are no longer finite."""

from __future__ import annotations

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ..errors import UserError


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop with the loss and the iteration named (:class:`CheckpointGuardHook` keeps such weights out of checkpoints).

    Args:
        interval: look at the losses every so many iterations (a look waits for the device).

    Raises:
        UserError: a loss is NaN or infinite.
    """

    priority = 'ABOVE_NORMAL'

    def __init__(self, interval: int = 10) -> None:
        self.interval = interval

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        if not self.every_n_train_iters(runner, self.interval):
            return
        losses = {name: value for name, value in (outputs or {}).items() if 'loss' in name}
        finite = torch.isfinite(torch.stack([torch.as_tensor(v).detach().float().cpu() for v in losses.values()]))
        if bad := [name for name, good in zip(losses, finite.tolist()) if not good]:
            raise UserError(
                f'{", ".join(bad)} is not finite at iteration {runner.iter + 1}: lower the learning rate or '
                f'lambda_adv; the last good checkpoint in {runner.work_dir} is untouched'
            )
