"""Make sure that saved weights are finite and cover all ranks, and that loaded weights fit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce_params
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import print_log
from mmengine.runner import BaseLoop, Runner
from mmengine.runner.checkpoint import get_state_dict, weights_to_cpu
from mmseg.registry import HOOKS
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ..compat import allow_mmengine_checkpoints
from ..errors import UserError
from ..methods.turn import unwrapped
from ..weights.parts import check_whole, frozen_names, loaded


def is_checkpoint_due(runner: Runner) -> bool:
    """Whether this iteration's weights are saved: by a ``CheckpointHook``, or because the run is about to stop."""

    def is_due(hook: CheckpointHook) -> bool:
        every = not hook.by_epoch and hook.every_n_train_iters(runner, hook.interval, hook.save_begin)
        return every or (hook.save_last and hook.is_last_train_iter(runner))

    hooks = (hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    return getattr(runner.train_loop, 'stop_training', False) or any(map(is_due, hooks))


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Check weights when they are saved and loaded.

    Before a checkpoint is written, and so before an older one is deleted, the hook averages BN statistics over the
    ranks (each rank has seen different images) and stops the run if weights are NaN or infinite. It does the same
    before a validation, which may save the best checkpoint or that of a preempted run, and at every other save. The
    file has the players' own keys, ``segmentor.…`` and ``discriminator.…``, without those of wrappers.

    A file to load, of an adapter or a plain segmentor, must have every tensor of the model's segmentor; mmengine would
    warn and continue with random weights. To resume, the file must have every tensor of the model. See
    :mod:`mmseg_adapt.weights.parts`.

    Args:
        part: the part of the file to test, ``'segmentor'`` or ``'teacher'``; by default each part loads its own.
        anew: prefixes of names in the segmentor, such as ``'decode_head'``. Training may initialise these if
            ``load_from`` does not have them or has another shape.

    Raises:
        UserError: weights are not finite; ``max_keep_ckpts = 1``, so that a crash could leave no checkpoint; a file
            does not fit.
    """

    priority = 'ABOVE_NORMAL'

    def __init__(self, part: str | None = None, anew: str | Sequence[str] = ()) -> None:
        self.part = part
        self.anew = (anew,) if isinstance(anew, str) else tuple(anew)

    def before_run(self, runner: Runner) -> None:
        allow_mmengine_checkpoints()

    def before_train(self, runner: Runner) -> None:
        if any(h.max_keep_ckpts == 1 for h in runner.hooks if isinstance(h, CheckpointHook)):
            raise UserError(
                'default_hooks.checkpoint.max_keep_ckpts = 1 deletes the only checkpoint before the next one is '
                'written: set it to at least 2'
            )

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if is_checkpoint_due(runner):
            self._prepare(runner, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        self._prepare(runner, runner.iter)

    def before_val_epoch(self, runner: Runner) -> None:
        self._prepare(runner, runner.iter)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint['state_dict'] = weights_to_cpu(get_state_dict(runner.model))
        _check_finite(checkpoint['state_dict'], runner, checkpoint['meta']['iter'])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        own, model = get_state_dict(runner.model), unwrapped(runner.model)
        file = runner._load_from or f'the checkpoint to resume from in {runner.work_dir}'
        if runner._resume:
            return check_whole(own, checkpoint, file)
        trains = isinstance(runner._train_loop, BaseLoop)
        anew, frozen = self.anew if trains else (), frozen_names(unwrapped(getattr(model, 'segmentor', model)))
        checkpoint['state_dict'], notes = loaded(own, checkpoint, file, self.part, anew, frozen)
        for note in notes if trains else ():
            print_log(f'{file}: {note}', 'current')

    @staticmethod
    def _prepare(runner: Runner, done: int) -> None:
        layers = (m for m in runner.model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats)
        all_reduce_params([b for m in layers for b in (m.running_mean, m.running_var)], op='mean')
        _check_finite(get_state_dict(runner.model), runner, done)


def _check_finite(weights: dict[str, Tensor], runner: Runner, done: int) -> None:
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UserError(
                f'{name} is not finite at iteration {done}: lower the learning rate or lambda_adv; '
                f'no checkpoint was written; the last good one in {runner.work_dir} is untouched'
            )
