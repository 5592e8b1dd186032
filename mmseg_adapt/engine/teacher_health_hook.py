"""Checks whether the teacher teaches; warns in words, as :class:`GameHealthHook` does for a game."""

from __future__ import annotations

from collections import deque

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

from ..methods.mixing import pixels_of
from ..methods.turn import unwrapped
from .game_health_hook import announce

RARE = "train_dataloader.sampler.orders.source = dict(type='RareClassOrder')"


@HOOKS.register_module()
class TeacherHealthHook(Hook):
    """Watch the pseudo-labels and name the setting to change; training itself does not change.

    Logged besides what the model reports (``teacher.confident``, q, and ``<lesson>.agreement``, the share of the
    teacher's labels that the student agrees with): ``teacher.classes``, the number of classes in the iteration's
    pseudo-labels, counted on the device. Each rank checks its own samples. A model without a teacher is ignored.

    Args:
        window: iterations that a warning is based on; a third of the run if that is less.
        low, high: bounds of q: below, the target teaches nothing; above, mistakes weigh as much as correct labels.
        lost: a class is lost when its share of the pseudo-labels is less than ``lost`` times that of the source.
        apart: the minimum agreement, in the lesson with the highest agreement of teacher and student.
    """

    def __init__(
        self, window: int = 1000, low: float = 0.02, high: float = 0.995, lost: float = 0.01, apart: float = 0.5
    ) -> None:
        self.window, self.low, self.high, self.lost, self.apart = window, low, high, lost, apart
        self.counts: deque[tuple[int, Tensor]] = deque()  # iteration, (2, 256) pixels of source and pseudo-labels
        self.clock = None
        self.ill: set[str] = set()

    def before_train(self, runner: Runner) -> None:
        model = unwrapped(runner.model)
        if hasattr(model, 'witnesses'):
            model.witnesses.append(self._count)
            self.clock, self.begin, self.window = model.clock, runner.iter, min(self.window, -(-runner.max_iters // 3))

    def _count(self, source, target, lessons) -> None:
        if self.clock.logs:
            pixels = [pixels_of(domain.labels) for domain in (source, target)]
            self.counts.append((self.clock.iteration, torch.stack(pixels)))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if self.clock is None or not self.clock.logs:
            return
        while self.counts[0][0] <= runner.iter - self.window:
            self.counts.popleft()
        now = sum(counted[1] for iteration, counted in self.counts if iteration == runner.iter)
        *lately, now = torch.stack([*sum(counted for _, counted in self.counts), now]).tolist()
        runner.message_hub.update_scalar('train/teacher.classes', sum(pixels > 0 for pixels in now))
        if runner.iter + 1 - self.begin >= self.window:
            self.ill = announce(runner, self.ill, self._judge_labels(runner) | self._judge_classes(runner, lately))

    def _judge_labels(self, runner: Runner) -> dict[str, str]:
        scalars, logged = runner.message_hub.log_scalars, len({iteration for iteration, _ in self.counts})
        q = scalars['train/teacher.confident'].mean(self.window)
        agreed = max((h.mean(logged) for name, h in scalars.items() if name.endswith('.agreement')), default=1.0)
        share, found = f'({100 * q:.3g} % of the pixels reach model.pseudo_threshold)', {}
        if q < self.low:
            found['hardly any pseudo-label is confident'] = f'{share}: lower it, or start from trained weights'
        elif q > self.high:
            found['nearly every pseudo-label is confident'] = f'{share}: raise it'
        if agreed < self.apart:
            found['teacher and student have drifted apart'] = (
                f'(they agree on {100 * agreed:.0f} % of the pseudo-labels): lower '
                'optim_wrapper.segmentor.optimizer.lr, or model.alpha, so that the teacher follows faster'
            )
        return found

    def _judge_classes(self, runner: Runner, counts: list[list[int]]) -> dict[str, str]:
        found = {}
        for name, *pixels in zip(runner.train_dataloader.dataset.metainfo['classes'], *counts):
            shown, labelled = (n / sum(of) for n, of in zip(pixels, counts))
            if labelled < self.lost * shown:
                shares = f"({100 * labelled:.2g} % of their pixels, {100 * shown:.2g} % of the source's)"
                found[f'the pseudo-labels have lost {name!r}'] = f'{shares}: if the target contains it, set {RARE}'
        return found
