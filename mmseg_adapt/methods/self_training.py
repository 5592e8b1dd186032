"""Self-training: a mean teacher labels the target; the student learns from the source and from lessons on the target.

A method defines the lessons: ``dacs.py`` mixes source and target, ``mic.py`` hides part of the target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from mmengine.optim import OptimWrapperDict
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.utils import add_prefix
from torch import Tensor

from ..errors import UserError
from ..models.losses import labels_of
from .adapter import DomainAdapter, scaled
from .mixing import pseudo_labels, weights_with_margins
from .teacher import TEACHER_BN, follow, frozen_copy, save_shared_once, set_teacher_mode, share_frozen
from .turn import unwrapped


class Domain(NamedTuple):
    """Images of one stream with the labels that the student learns: true labels or the teacher's."""

    images: Tensor  # (N, 3, H, W), normalised
    labels: Tensor  # (N, H, W)
    weight: Tensor | None = None  # (N, H, W) weight of each pixel's loss; None: 1


class Lesson(NamedTuple):
    """What the student learns besides the source, and how it is logged."""

    name: str
    images: Tensor  # (N, 3, H, W)
    labels: Tensor  # (N, H, W)
    weight: Tensor  # (N, H, W)
    taught: Tensor | None = None  # (N, H, W) bool: which labels are the teacher's; None: all
    importance: float = 1.0  # weight of the lesson's loss


Witness = Callable[[Domain, Domain, list[Lesson]], None]


class SelfTraining(DomainAdapter):
    """A trained student S and a teacher, its mean over time. Subclasses define :meth:`lessons`.

    Several unlabelled streams are several targets; the lessons of each have weight 1 / their number.

    Args:
        segmentor: config of a :class:`~mmseg_adapt.models.MultiLevelSegmentor`, for both student and teacher.
        alpha: upper limit of the share of itself that the teacher keeps per optimiser step, in [0, 1].
        pseudo_threshold: τ in [0, 1]. The weight q of pseudo-labels is the share of pixels whose most probable class
            has a probability of at least τ.
        per_image: compute q for each image; the releases compute one q for the batch.
        ignore_top, ignore_bottom: number of rows of the target's crops whose pseudo-labels have weight 0.
        teacher_bn: ``'batch'``, as released, or ``'average'`` (:func:`~mmseg_adapt.methods.teacher.set_teacher_mode`).
        teacher_follows: ``'first'``, at the start of an iteration (DAFormer), or ``'last'``, after the step (the
            release of DACS, whose mean therefore excludes the initial weights).
        **kwargs: see :class:`~mmseg_adapt.methods.DomainAdapter`.

    Attributes:
        witnesses: functions called once per target in every iteration, with the source, the target and its lessons.
            Hooks that inspect the lessons register here. The model does not keep what it passes to them.

    Raises:
        UserError: If a number is outside its range, or a head's losses do not accept a weight per pixel; in the first
            iteration, if the clock is missing or the domains differ in size.
    """

    def __init__(
        self,
        segmentor: dict,
        alpha: float = 0.999,
        pseudo_threshold: float = 0.968,
        per_image: bool = False,
        ignore_top: int = 0,
        ignore_bottom: int = 0,
        teacher_bn: str = 'batch',
        teacher_follows: str = 'first',
        **kwargs,
    ) -> None:
        super().__init__(segmentor, **kwargs)
        self.check_levels('segmentor', ('decode',))
        self.segmentor.check_weights()
        for name, value in dict(alpha=alpha, pseudo_threshold=pseudo_threshold).items():
            if not 0 <= value <= 1:
                raise UserError(f'model.{name} = {value} must be in [0, 1]')
        for name, value, known in (
            ('teacher_bn', teacher_bn, TEACHER_BN),
            ('teacher_follows', teacher_follows, ('first', 'last')),
        ):
            if value not in known:
                raise UserError(f'model.{name} = {value!r} must be one of {list(known)}')
        self.alpha, self.pseudo_threshold, self.per_image = alpha, pseudo_threshold, per_image
        self.ignore_top, self.ignore_bottom = ignore_top, ignore_bottom
        self.teacher_bn, self.teacher_follows = teacher_bn, teacher_follows
        self.teacher = frozen_copy(MODELS.build(segmentor))
        save_shared_once(self, share_frozen(self.teacher, self.segmentor))
        self.witnesses: list[Witness] = []

    def lessons(self, source: Domain, target: Domain, generator: torch.Generator) -> Iterator[Lesson]:
        """What the student learns from a source batch and a target batch with pseudo-labels."""
        raise NotImplementedError(f'{type(self).__name__} must define lessons(): what its student learns')

    def train_step(self, data: dict[str, dict], optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """One iteration: a backward pass after each forward pass, then one step.

        Args:
            data: stream → batch, from a :class:`~mmseg_adapt.datasets.DomainPairDataset`: ``'source'``, one or more
                targets, and ``'labeled_target'`` if part of the target is labelled.
            optim_wrapper: holds one wrapper, the segmentor's.

        Returns:
            The values to log: every loss and accuracy, each a scalar.
        """
        source, labeled, targets = self.streams(data)
        (student,) = self.turns(optim_wrapper)
        generator = unwrapped(self.segmentor).generator = self.clock.generator()

        # L_seg(S(I_s), Y_s)        (+ λ_t · L_seg of labelled targets)
        for batch in labeled:
            with student.forward(last=False):
                losses = self.learn_target(**batch)
            student.backward(losses)
        with student.forward(last=False):
            losses = self.learn(**source)
        student.backward(losses)

        # Ŷ, q from the teacher on I_t, then   L_seg(S(mix(I_s, I_t)), mix(Y_s, Ŷ); q)   and any further lessons
        source = Domain(source['inputs'], labels_of(source['data_samples']))
        for last, target in enumerate(targets, 1 - len(targets)):
            with student.forward(last=False, learns=False):
                target, taught = self.teach(**target)
            student.log.update(taught)
            lessons = list(self.lessons(source, target, generator))
            for witness in self.witnesses:
                witness(source, target, lessons)
            for after, lesson in enumerate(lessons, 1 - len(lessons)):
                with student.forward(last=last == after == 0):
                    losses = self.study(lesson)
                student.backward(losses, share=1 / len(targets))

        student.step()
        if self.teacher_follows == 'last':
            self._follow()
        return student.log

    def follow(self) -> None:
        """Copy the student at first; then let the teacher follow it, once per optimiser step."""
        if not self.clock.runs:
            raise UserError(
                f'{type(self).__name__} needs the clock: add AlternatingUpdateHook to custom_hooks, as in '
                'configs/_base_/schedules'
            )
        if self.clock.steps['segmentor'] == 0 and self.clock.share('segmentor').begins:
            self.teacher.load_state_dict(unwrapped(self.segmentor).state_dict())
        elif self.teacher_follows == 'first':
            self._follow()

    def _follow(self) -> None:
        share, first = self.clock.share('segmentor'), self.teacher_follows == 'first'
        if 'segmentor' in self.clock.movers and (share.begins if first else share.steps):
            steps = self.clock.steps['segmentor']
            follow(self.teacher, unwrapped(self.segmentor), steps, self.alpha, self.teacher_bn)

    def learn(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Supervise on the source."""
        return self.supervised(self.segmentor(inputs, mode='tensor'), labels_of(data_samples))

    def teach(self, inputs: Tensor, data_samples: list) -> tuple[Domain, dict[str, Tensor]]:
        """The teacher's labels of target images, each pixel's weight, and the values to log."""
        labels, q = pseudo_labels(self.teacher_logits(inputs), self.pseudo_threshold, self.per_image)
        valid = [sample.valid_pixels.data for sample in data_samples if 'valid_pixels' in sample]
        valid = torch.cat(valid).to(labels.device) if valid else None
        weight = weights_with_margins(q, labels, self.ignore_top, self.ignore_bottom, valid)
        return Domain(inputs, labels, weight), {'teacher.confident': q.mean()}

    def teacher_logits(self, inputs: Tensor) -> Tensor:
        """The teacher's logits of images (N, 3, H, W), at image size."""
        logits, corners = self.teacher.logits(inputs), self.teacher.align_corners
        logits = resize(logits, inputs.shape[2:], mode='bilinear', align_corners=corners, warning=False)
        if logits.shape[1] == 1:  # a binary head's logit of class 1
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        return logits

    def study(self, lesson: Lesson) -> dict[str, Tensor]:
        """The segmentation losses of a lesson, weighted per pixel."""
        outputs = self.segmentor(lesson.images, mode='tensor')
        outputs.pop('backbone', None)  # memory peaks in the loss
        losses = scaled(self.supervised(outputs, lesson.labels, lesson.weight), lesson.importance)
        if self.clock.logs:
            losses['agreement'] = agreement(outputs['decode'], lesson)
        return add_prefix(losses, lesson.name)

    def train(self, mode: bool = True) -> SelfTraining:
        super().train(mode)
        if mode:
            set_teacher_mode(self.teacher, self.teacher_bn)
        return self


@torch.no_grad()
def agreement(logits: Tensor, lesson: Lesson) -> Tensor:
    """The share, in [0, 1], of the teacher's labels that the student's logits (N, C, h, w) agree with."""
    rows, columns = (
        torch.arange(n, device=logits.device) * size // n for n, size in zip(logits.shape[2:], lesson.labels.shape[1:])
    )
    right = (logits.argmax(1) if logits.shape[1] > 1 else logits[:, 0] > 0) == lesson.labels[:, rows[:, None], columns]
    if lesson.taught is None:
        return right.float().mean()
    taught = lesson.taught[:, rows[:, None], columns]
    return (right & taught).sum() / taught.sum().clamp(min=1)
