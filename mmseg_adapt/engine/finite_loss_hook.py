"""Stop a run whose losses or weights are no longer finite, and keep its last good checkpoint."""

from __future__ import annotations

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ..errors import UserError


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop with the loss and the iteration named; never let a checkpoint with NaN in its weights be written.

    Args:
        interval: look at the losses every so many iterations (a look waits for the device).

    Raises:
        UserError: a loss is NaN or infinite, or weights about to be saved are.
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

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        for name, tensor in checkpoint['state_dict'].items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise UserError(
                    f'{name} is not finite at iteration {runner.iter + 1}: lower the learning rate or lambda_adv; '
                    f'no checkpoint was written, the last good one in {runner.work_dir} is untouched'
                )
