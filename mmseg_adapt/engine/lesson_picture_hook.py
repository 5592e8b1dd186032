"""Pictures of what the student of self-training learns, at intervals."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ..files.whole import write_whole
from ..methods.lesson_picture import lesson_picture
from ..methods.turn import unwrapped


@HOOKS.register_module()
class LessonPictureHook(Hook):
    """Draw the lessons of every ``interval``-th iteration, see :mod:`mmseg_adapt.methods.lesson_picture`, on rank 0.

    It draws ``images`` images of a batch into ``out_dir`` (by default ``lessons`` in the work folder). Weights do not
    change, and a model without a teacher is ignored.
    """

    def __init__(self, interval: int = 1000, images: int = 2, out_dir: str | None = None) -> None:
        self.interval, self.images, self.out_dir = interval, images, out_dir
        self.pictures: list[np.ndarray] = []

    def before_train(self, runner: Runner) -> None:
        model = unwrapped(runner.model)
        if hasattr(model, 'witnesses') and runner.rank == 0:
            model.witnesses.append(partial(self._draw, runner, model))

    def _draw(self, runner: Runner, model, *of_target) -> None:
        if self.every_n_train_iters(runner, self.interval):
            palette = runner.train_dataloader.dataset.metainfo['palette']
            self.pictures.append(lesson_picture(model, *of_target, palette, self.images))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if self.pictures:
            _, png = cv2.imencode('.png', np.vstack(self.pictures)[..., ::-1])
            write_whole(self.out_dir or Path(runner.work_dir, 'lessons'), f'iter_{runner.iter + 1}.png', png.tobytes())
            self.pictures = []
