"""What a checkpoint must hold, besides mmengine's, for a resumed run to be the run that was never interrupted."""

from __future__ import annotations

from mmengine.dist import all_gather_object, all_reduce_params, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

from ..random_state import random_state, set_random_state
from .checkpoint_guard_hook import is_checkpoint_due
from .resumable_train_loop import ResumableTrainLoop

PROGRESS = ('last_step', '_global_step', '_last_value', 'base_values', 'verbose')  # of a schedule's state


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Keep in every checkpoint, and put back on resume, what mmengine's lacks.

    The place in the data (:class:`ResumableTrainLoop`), the random state of every rank, and the gradients of an
    accumulation that a checkpoint interrupts. Schedules of which the config has since changed a number (``end``, say)
    follow the config, as if it had always been so; mmengine would go on with the old ones.
    """

    priority = 'LOW'

    def __init__(self) -> None:
        self.loaded: dict | None = None
        self.random: list[dict] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if is_checkpoint_due(runner):
            self._gather(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        self._gather(runner)  # a validation may save: the best checkpoint, or because of a signal

    def _gather(self, runner: Runner) -> None:
        self.random = all_gather_object(random_state())
        all_reduce_params(list(_gradients(runner).values()), op='mean')  # of the rank's own samples until the step

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
            if runner.param_schedulers and 'param_schedulers' in checkpoint:
                _follow_config(runner, checkpoint)

    def before_train_epoch(self, runner: Runner) -> None:
        if runner.iter == 0:  # the weights were loaded, not the run
            return
        if self.loaded is None:
            runner.logger.warning('a checkpoint without random state and place in the data: the run is not exact')
            return
        if 'data' in self.loaded and isinstance(runner.train_loop, ResumableTrainLoop):
            runner.train_loop.resume(self.loaded['data'])
        for name, grad in self.loaded['gradients'].items():
            parameter = _named_parameters(runner)[name]
            parameter.grad = grad.to(parameter.device, copy=True)
        if len(self.loaded['random']) == get_world_size():
            set_random_state(self.loaded['random'][get_rank()])
        else:
            runner.logger.warning(
                f'resuming on {get_world_size()} ranks a run of {len(self.loaded["random"])}: every sample is still '
                'seen once per pass, but the run is not the uninterrupted one'
            )
        self.loaded = None


def _named_parameters(runner: Runner) -> dict[str, Tensor]:
    """Every parameter by the name that it has without distributed wrappers."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return {name.replace('.module.', '.'): parameter for name, parameter in model.named_parameters()}


def _gradients(runner: Runner) -> dict[str, Tensor]:
    return {name: p.grad for name, p in _named_parameters(runner).items() if p.grad is not None}


def _follow_config(runner: Runner, checkpoint: dict) -> None:
    """Bring schedules whose numbers the config has changed to the checkpoint's iteration, and put them in its place."""
    named = isinstance(runner.param_schedulers, dict)
    for key in runner.param_schedulers if named else (None,):
        fresh = runner.param_schedulers[key] if named else runner.param_schedulers
        saved = checkpoint['param_schedulers'][key] if named else checkpoint['param_schedulers']
        if [_numbers(s.state_dict()) for s in fresh] == [_numbers(s) for s in saved]:
            continue
        runner.logger.warning('param_scheduler is not that of the checkpoint: the learning rates follow the config')
        for _ in range(checkpoint['meta']['iter']):
            for scheduler in fresh:
                scheduler.step()
        saved[:] = [scheduler.state_dict() for scheduler in fresh]
        optimizer = checkpoint['optimizer'][key] if named else checkpoint['optimizer']
        for scheduler in fresh:
            name = scheduler.param_name
            for old, new in zip(optimizer['param_groups'], scheduler.optimizer.param_groups):
                old[name] = new[name]


def _numbers(state: dict) -> dict:
    return {key: value for key, value in state.items() if key not in PROGRESS}
