"""Refuse a checkpoint that does not fit, where mmengine would warn and go on with random weights."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ..compat import allow_mmengine_checkpoints
from ..errors import UserError


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Compare a checkpoint with the model before it is loaded.

    Raises:
        UserError: a tensor of another shape (another class count, as a rule), or not one key in common.
    """

    def before_run(self, runner: Runner) -> None:
        allow_mmengine_checkpoints()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        loaded = {k.removeprefix('module.'): v for k, v in checkpoint.get('state_dict', checkpoint).items()}
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        own = model.state_dict()
        common = loaded.keys() & own.keys()
        file = runner._load_from or f'the checkpoint to resume from in {runner.work_dir}'
        if not common:
            raise UserError(f'{file}: a checkpoint of another network: it has no key of this {type(model).__name__}')
        for key in sorted(common):
            if own[key].shape != loaded[key].shape:
                raise UserError(
                    f'{file}: {key} has shape {tuple(loaded[key].shape)}, this config needs '
                    f'{tuple(own[key].shape)}: use the config (num_classes, depth) that the checkpoint was trained with'
                )
