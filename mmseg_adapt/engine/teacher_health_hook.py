"""Does the teacher teach? Warned of in words, as :class:`GameHealthHook` does of a game."""

from __future__ import annotations

from collections import deque

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

from ..methods.turn import unwrapped
from .game_health_hook import announce


@HOOKS.register_module()
class TeacherHealthHook(Hook):
    """Watch the pseudo-labels and say which knob to turn; nothing of the training changes.

    Logged beside ``teacher.confident`` (q) and ``<lesson>.agreement`` (the share of the teacher's labels in a lesson
    that the student agrees with), which the model itself reports: ``teacher.classes``, how many classes the
    pseudo-labels of the iteration hold.

    Warned of, once each time it begins, when the mean over ``window`` iterations says that hardly any pixel is
    confident (the target teaches nothing), that nearly every pixel is (mistakes weigh as much as knowledge), that the
    pseudo-labels have lost a class which the source shows, or that teacher and student have drifted apart. A rank
    looks at its own samples.

    Off the hot path: labels are counted at logged iterations only, on the device, and read with the log. Does nothing
    for a model without a teacher.

    Args:
        window: iterations that a warning is based on.
        low, high: bounds of q.
        lost: a class is lost when its share of the pseudo-labels is less than ``lost`` times that of the source.
        apart: the least agreement, in the lesson that they agree on most.
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
            self.clock, self.begin = model.clock, runner.iter

    def _count(self, source, target, lessons) -> None:
        if self.clock.logs:
            counted = torch.stack([pixels_of(source.labels), pixels_of(target.labels)])
            self.counts.append((self.clock.iteration, counted))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if self.clock is None or not self.clock.logs:
            return
        while self.counts[0][0] <= runner.iter - self.window:
            self.counts.popleft()
        now = sum(counted[1] for iteration, counted in self.counts if iteration == runner.iter)
        *lately, now = torch.stack([*sum(counted for _, counted in self.counts), now]).tolist()
        runner.message_hub.update_scalar('train/teacher.classes', sum(pixels > 0 for pixels in now))
        if runner.iter + 1 - self.begin >= self.window:
            found = {**self._judge_confidence(runner), **self._judge_classes(runner, *lately)}
            self.ill = announce(runner, self.ill, {**found, **self._judge_agreement(runner)})

    def _judge_confidence(self, runner: Runner) -> dict[str, str]:
        q = runner.message_hub.log_scalars['train/teacher.confident'].mean(self.window)
        share = f'({100 * q:.3g} % of the pixels reach model.pseudo_threshold)'
        if q < self.low:
            return {
                'hardly any pseudo-label is confident': f'{share}: the target teaches next to nothing; lower '
                'model.pseudo_threshold, or start from trained weights (load_from)'
            }
        if q > self.high:
            return {
                'nearly every pseudo-label is confident': f"{share}: the teacher's mistakes weigh as much as what it "
                'knows; raise model.pseudo_threshold'
            }
        return {}

    def _judge_classes(self, runner: Runner, source: list[int], target: list[int]) -> dict[str, str]:
        classes = runner.train_dataloader.dataset.metainfo['classes']
        found = {}
        for name, *pixels in zip(classes, source, target):
            shown, labelled = (n / sum(counts) for n, counts in zip(pixels, (source, target)))
            if labelled < self.lost * shown:
                found[f'the pseudo-labels have lost {name!r}'] = (
                    f"({100 * labelled:.2g} % of their pixels, {100 * shown:.2g} % of the source's): if the target "
                    "shows it, draw it more often, train_dataloader.sampler.orders.source = dict(type='RareClassOrder')"
                )
        return found

    def _judge_agreement(self, runner: Runner) -> dict[str, str]:
        scalars, logged = runner.message_hub.log_scalars, len({iteration for iteration, _ in self.counts})
        found = [h.mean(logged) for name, h in scalars.items() if name.endswith('.agreement')]
        if not found or max(found) >= self.apart:
            return {}
        return {
            'teacher and student have drifted apart': f'(they agree on {100 * max(found):.0f} % of the pseudo-labels): '
            'lower optim_wrapper.segmentor.optimizer.lr, or model.alpha, so that the teacher follows faster'
        }


def pixels_of(labels: Tensor) -> Tensor:
    """How many pixels have each label in 0 … 255, (256,) int64, counted on their device without waiting for it."""
    flat = labels.flatten()
    return torch.zeros(256, dtype=torch.int64, device=labels.device).scatter_add_(0, flat, torch.ones_like(flat))
