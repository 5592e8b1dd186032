"""What a checkpoint needs beyond mmengine's state, so that a resumed run is identical to an uninterrupted one."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.dist import all_gather_object, all_reduce_params, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

from ..errors import UserError
from ..methods.turn import unwrapped
from ..optim.merged_groups import merge_state
from ..random_state import random_state, set_random_state
from .checkpoint_guard_hook import is_checkpoint_due
from .resumable_train_loop import ResumableTrainLoop

PROGRESS = ('last_step', '_global_step', '_last_value', 'base_values', 'verbose')  # of a schedule's state


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Save in every checkpoint, and restore on resume, what mmengine does not save.

    These are the position in the data (:class:`ResumableTrainLoop`), the random state of every rank, and accumulated
    gradients if a checkpoint interrupts an accumulation.

    Raises:
        UserError: the config has changed a number of a schedule or an optimiser (``end``, ``lr``, ``weight_decay``, …).
            mmengine would silently continue with the old one.
    """

    priority = 'LOW'

    def __init__(self) -> None:
        self.loaded: dict | None = None
        self.random: list[dict] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if is_checkpoint_due(runner):
            self._gather(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        self._gather(runner)  # a validation may save the best checkpoint, or save on a signal

    def _gather(self, runner: Runner) -> None:
        self.random = all_gather_object(random_state())
        # Until the step, each rank has its own, and a checkpoint stores one copy. This rounds as no step would.
        all_reduce_params(list(_gradients(runner).values()), op='mean')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        state = dict(
            random=self.random or [random_state()],
            gradients={name: grad.cpu() for name, grad in _gradients(runner).items()},
        )
        if isinstance(runner.train_loop, ResumableTrainLoop):
            state['data'] = runner.train_loop.state(checkpoint['meta']['iter'])
        checkpoint['exact_resume'] = state

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if runner._resume:
            self.loaded = checkpoint.get('exact_resume')
            if 'optimizer' in checkpoint:
                _steps_to_cpu(checkpoint['optimizer'])
                _check_numbers(runner, checkpoint)

    def before_train_epoch(self, runner: Runner) -> None:
        if runner.iter == 0:  # weights were loaded, but the run is new
            return
        if self.loaded is None:
            runner.logger.warning('a checkpoint without random state and position in the data: the run is not exact')
            return
        if 'data' in self.loaded and isinstance(runner.train_loop, ResumableTrainLoop):
            runner.train_loop.resume(self.loaded['data'])
        else:
            runner.logger.warning(
                "the position in the data is lost, because train_cfg.type, or the checkpoint's, is not "
                'ResumableTrainLoop: the run is not exact'
            )
        for name, grad in self.loaded['gradients'].items():
            parameter = _named_parameters(runner)[name]
            parameter.grad = grad.to(parameter.device, copy=True)
        if len(self.loaded['random']) == get_world_size():
            set_random_state(self.loaded['random'][get_rank()])
        else:
            runner.logger.warning(
                f'resuming a run of {len(self.loaded["random"])} ranks on {get_world_size()}: every sample is still '
                'seen once per pass, but the result differs from an uninterrupted run'
            )
        self.loaded = None


def _named_parameters(runner: Runner) -> dict[str, Tensor]:
    """Every parameter, by its name without distributed wrappers."""
    model = unwrapped(runner.model)
    return {name.replace('.module.', '.'): parameter for name, parameter in model.named_parameters()}


def _gradients(runner: Runner) -> dict[str, Tensor]:
    return {name: p.grad for name, p in _named_parameters(runner).items() if p.grad is not None}


def _steps_to_cpu(optimizers: dict) -> None:
    """Move Adam's step counters back to the CPU.

    mmengine loads them onto the device, where each parameter would synchronise at every step.
    """
    for state in optimizers.values() if 'state' not in optimizers else [optimizers]:
        on_device = any(group.get('capturable') or group.get('fused') for group in state['param_groups'])
        for entry in state['state'].values() if not on_device else ():
            if isinstance(entry.get('step'), Tensor):
                entry['step'] = entry['step'].cpu()


def _check_numbers(runner: Runner, checkpoint: dict) -> None:
    named = isinstance(runner.optim_wrapper, OptimWrapperDict)
    for player in runner.optim_wrapper.keys() if named else ('',):

        def of(whole, player=player):
            return whole[player] if named and whole else whole or []

        saved, wrapper = of(checkpoint['optimizer']), of(runner.optim_wrapper)
        if not saved.get('loss_scaler'):  # empty for bfloat16; mmengine's fp16 refuses that
            saved.pop('loss_scaler', None)
        old, new = of(checkpoint.get('param_schedulers')), of(runner.param_schedulers)
        merge_state(saved, old, wrapper)
        _check_equal('param_scheduler', [dict(length=len(old))], [dict(length=len(new))])
        for i, (was, now) in enumerate(zip(old, new)):
            _check_equal(f'param_scheduler.{i}', [was], [now.state_dict()], but=PROGRESS)
        moved = [schedule.param_name for schedule in new]
        where = f'optim_wrapper.{player}.optimizer' if named else 'optim_wrapper.optimizer'
        _check_equal(where, saved['param_groups'], wrapper.optimizer.param_groups, but=('params', 'foreach', *moved))
        for was, now in zip(saved['param_groups'], wrapper.optimizer.param_groups):
            was.update({key: now[key] for key in ('foreach',) if key in now})  # does not change the result


def _check_equal(where: str, old: list[dict], new: list[dict], but: Sequence[str] = ()) -> None:
    """Compare, per key, the sets of values in all dicts: groups with equal settings may have been merged since."""
    for key in sorted(set.intersection(*map(set, (*old, *new))) - set(but)):
        was, now = (sorted({str(part[key]) for part in parts}) for parts in (old, new))
        if was != now:
            raise UserError(
                f'{where}.{key.removeprefix("initial_")} is {", ".join(was)} in the checkpoint and {", ".join(now)} in '
                'the config: resume with the old value, or start a new run from its weights (load_from)'
            )
