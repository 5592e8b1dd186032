"""Scores without labels during training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.dist import all_reduce, get_rank, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn

from ..datasets.pipelines import unlabelled
from ..errors import UserError
from ..methods.turn import unwrapped
from ..random_state import kept_random_state
from ..runs.checkpoint_guard_hook import is_checkpoint_due
from .samples import target_images
from .scores import areas, infomax, miou
from .views import both_ways, labels_of, predict, stride_of, thinned


@HOOKS.register_module()
class LabelFreeHook(Hook):
    """Score a run on unlabelled target images, at every checkpoint and every validation.

    It logs, in percent, ``infomax`` (:func:`~.scores.infomax`) and ``flip_consistency``, the mIoU between the labels of
    the images and of their mirror images. With a teacher it also logs ``teacher_agreement``, the mIoU between the
    student's labels and the teacher's. The mIoUs are over all classes: a class that occurs in neither counts 0, so that
    a model that loses classes is not rewarded.

    ``default_hooks.checkpoint.save_best='infomax'`` keeps the best snapshot without using labels: the best of all
    validations, whose metrics then include the scores, or, without a validation loop, of all checkpoints.

    The hook does not affect training: it draws no random numbers, every module keeps its mode, and a resumed run is
    identical to an uninterrupted one. Several ranks share the images.

    Args:
        images: number of target images, evenly spaced. Each costs two forward passes, or three with a teacher.
        target: folder of target images; by default the first unlabelled stream of the config.

    Raises:
        UserError: (before the first iteration) no target image, or no pipeline in ``test_dataloader``.
    """

    priority = 80  # after ExactResumeHook has collected its state, before CheckpointHook saves

    def __init__(self, images: int = 32, target: str | None = None) -> None:
        self.images, self.target = images, target
        self.step, self.values = -1, {}

    def before_train(self, runner: Runner) -> None:
        pipeline = ((runner.cfg.get('test_dataloader') or {}).get('dataset') or {}).get('pipeline')
        if not pipeline:
            raise UserError('LabelFreeHook: set test_dataloader.dataset.pipeline, which prepares the images')
        with kept_random_state():
            self.pipeline = Compose(unlabelled(pipeline))
            self.paths, _ = target_images([runner.cfg], self.target, self.images)
        self.count = len(runner.train_dataloader.dataset.metainfo['classes'])

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if is_checkpoint_due(runner):
            self._score(runner, runner.iter + 1)
            if runner.val_loop is None:
                self._keep_best(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        self._score(runner, runner.iter)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        if metrics is not None:
            metrics.update(self.values)  # CheckpointHook gets the same dict

    def _keep_best(self, runner: Runner) -> None:
        """Do what ``CheckpointHook`` does after a validation. The score is stored before this iteration's checkpoint
        is written, so that a resumed run knows it."""
        keepers = (hook for hook in runner.hooks if isinstance(hook, CheckpointHook) and hook.save_best)
        key = next((key for hook in keepers for key in hook.key_indicators if key in self.values), None)
        noted = runner.message_hub.runtime_info
        if key is None or self.values[key] <= noted.get('best_score', -np.inf):
            return
        before, name = noted.get('best_ckpt'), f'best_{key}_iter_{self.step}.pth'
        runner.save_checkpoint(runner.work_dir, name, save_optimizer=False, by_epoch=False)
        runner.message_hub.update_info('best_score', self.values[key])
        runner.message_hub.update_info('best_ckpt', str(Path(runner.work_dir, name)))
        if before and is_main_process():
            Path(before).unlink(missing_ok=True)

    def _score(self, runner: Runner, step: int) -> None:
        if step == self.step or not hasattr(self, 'paths'):
            return
        model = unwrapped(runner.model)
        student, teacher = unwrapped(getattr(model, 'segmentor', model)), getattr(model, 'teacher', None)
        with evaluating(model), kept_random_state():
            flip, taught, p, uncertain = self._sums(student, teacher)
        everywhere = np.ones(self.count, bool)
        found = dict(infomax=float(infomax(p, uncertain)), flip_consistency=miou(flip, everywhere))
        if teacher is not None:
            found['teacher_agreement'] = miou(taught, everywhere)
        self.step, self.values = step, {key: round(100 * value, 2) for key, value in found.items()}
        runner.logger.info(f'iteration {step}: ' + ', '.join(f'{k} {v:.1f}' for k, v in self.values.items()))
        runner.visualizer.add_scalars(self.values, step=step)

    def _sums(self, student: nn.Module, teacher: nn.Module | None) -> tuple[np.ndarray, ...]:
        """Over the images of all ranks: areas for flips and for the teacher, (2, C) each; the sums of a view."""
        sums = flip, taught, p, uncertain = [np.zeros(shape) for shape in ((2, self.count),) * 2 + ((self.count,), ())]
        for path in self.paths[get_rank() :: get_world_size()]:
            sample = self.pipeline(dict(img_path=path))
            inputs, meta = sample['inputs'], sample['data_samples'].metainfo
            view, mirrored = both_ways(student, inputs, meta)
            flip += areas(view.labels, mirrored, self.count)
            for total, of_image in zip((p, uncertain), view.sums()):
                total += of_image
            if teacher is not None:
                labels = labels_of(predict(teacher, [inputs], [meta])[0])
                taught += areas(view.labels, thinned(labels, stride_of(labels)), self.count)
        shared = torch.from_numpy(np.concatenate([x.flatten() for x in sums])).to(next(student.parameters()).device)
        all_reduce(shared)
        parts = np.split(shared.cpu().numpy(), np.cumsum([x.size for x in sums])[:-1])
        return tuple(part.reshape(x.shape) for part, x in zip(parts, sums))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; restores the mode of every module afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
