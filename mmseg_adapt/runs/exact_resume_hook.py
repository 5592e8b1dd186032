"""What a checkpoint must hold, besides mmengine's, for a resumed run to be the run that was never interrupted."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.dist import all_gather_object, all_reduce_params, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

from ..engine.merged_groups import merge_state
from ..methods.turn import unwrapped
from ..random_state import random_state, set_random_state
from .checkpoint_guard_hook import is_checkpoint_due
from .resumable_train_loop import ResumableTrainLoop

PROGRESS = ('last_step', '_global_step', '_last_value', 'verbose')  # of a schedule's state


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Keep in every checkpoint, and put back on resume, what mmengine's lacks.

    The place in the data (:class:`ResumableTrainLoop`), the random state of every rank, and the gradients of an
    accumulation that a checkpoint interrupts. Numbers of a schedule or an optimiser that the config has since changed
    (``end``, ``lr``, ``weight_decay``, …) follow the config, as if it had always been so; mmengine would go on with the
    old ones.
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
            if 'optimizer' in checkpoint:
                _steps_to_cpu(checkpoint['optimizer'])
                _follow_config(runner, checkpoint)

    def before_train_epoch(self, runner: Runner) -> None:
        if runner.iter == 0:  # the weights were loaded, not the run
            return
        if self.loaded is None:
            runner.logger.warning('a checkpoint without random state and place in the data: the run is not exact')
            return
        if 'data' in self.loaded and isinstance(runner.train_loop, ResumableTrainLoop):
            runner.train_loop.resume(self.loaded['data'])
        else:
            runner.logger.warning(
                "the place in the data is lost, since train_cfg.type or the checkpoint's was not "
                'ResumableTrainLoop: the run is not exact'
            )
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
    model = unwrapped(runner.model)
    return {name.replace('.module.', '.'): parameter for name, parameter in model.named_parameters()}


def _gradients(runner: Runner) -> dict[str, Tensor]:
    return {name: p.grad for name, p in _named_parameters(runner).items() if p.grad is not None}


def _steps_to_cpu(optimizers: dict) -> None:
    """As in a new run, where Adam counts its steps on the CPU: on the device, to which mmengine loads a checkpoint,
    every parameter would wait for it at every step."""
    for state in optimizers.values() if 'state' not in optimizers else [optimizers]:
        on_device = any(group.get('capturable') or group.get('fused') for group in state['param_groups'])
        for entry in state['state'].values() if not on_device else ():
            if isinstance(entry.get('step'), Tensor):
                entry['step'] = entry['step'].cpu()


def _follow_config(runner: Runner, checkpoint: dict) -> None:
    """Put numbers of schedules and optimisers that the config has changed into the checkpoint, as of its iteration."""
    named = isinstance(runner.optim_wrapper, OptimWrapperDict)
    for player in runner.optim_wrapper.keys() if named else ('',):

        def of(whole, player=player):
            return whole[player] if named else whole

        if not of(checkpoint['optimizer']).get('loss_scaler'):  # bfloat16's is empty, which mmengine's fp16 refuses
            of(checkpoint['optimizer']).pop('loss_scaler', None)
        schedules = of(runner.param_schedulers) if runner.param_schedulers else []
        saved = of(checkpoint['param_schedulers']) if 'param_schedulers' in checkpoint else []
        merge_state(of(checkpoint['optimizer']), saved, of(runner.optim_wrapper))
        followed = [_numbers(s.state_dict()) for s in schedules] != [_numbers(s) for s in saved]
        if followed:
            for _ in range(checkpoint['meta']['iter']):
                for schedule in schedules:
                    schedule.step()
            saved[:] = [schedule.state_dict() for schedule in schedules]
        kept = () if followed else [f'{prefix}{s.param_name}' for s in schedules for prefix in ('', 'initial_')]
        changed = _take_over(of(checkpoint['optimizer']), of(runner.optim_wrapper), kept)
        if followed or changed:
            names = ', '.join([*(['param_scheduler'] if followed else []), *sorted(changed)])
            runner.logger.warning(f'{player or "optim_wrapper"}: {names} follow the config, not the checkpoint')


def _take_over(state: dict, wrapper: OptimWrapper, kept: Sequence[str]) -> set[str]:
    """Write the wrapper's numbers, but those of ``kept``, into its state of a checkpoint. Returns what has changed."""
    changed = set()
    groups = [*state['param_groups'], *filter(None, [state.get('base_param_settings')])]
    for old, new in zip(groups, wrapper.param_groups):
        for key in new.keys() - {'params', *kept}:
            if key in old and old[key] != new[key]:
                old[key] = new[key]
                changed |= {key} - {'foreach'}  # another way to the same numbers
    return changed


def _numbers(state: dict) -> dict:
    return {key: value for key, value in state.items() if key not in PROGRESS}
