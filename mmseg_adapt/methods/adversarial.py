"""The two-player game of adversarial domain adaptation: one ``train_step``, two objectives.

A segmentor S learns from labelled source images. On unlabelled target images it learns to make the discriminator D
mistake the target for the source. A method (``adaptsegnet.py``) only defines what D sees: ``view``.
:class:`mmseg_adapt.engine.AlternatingUpdateHook` decides who moves at iteration t; without it both players always move.

By default the players take turns, and S moves towards the *wrong* domain (the "non-saturating" game). With
``reversal=True`` they play one minimax game: D descends its loss on both domains, and S ascends the same loss with
weight λ_adv. One backward pass per domain then gives both players their gradients.
"""

from __future__ import annotations

import torch
from mmengine.model import ModuleDict
from mmengine.optim import OptimWrapperDict
from mmseg.registry import MODELS
from torch import Tensor

from ..errors import UserError
from ..models.losses import OBJECTIVES, domain_accuracy, domain_loss, labels_of
from .adapter import DomainAdapter
from .gradient_reversal import reversed_gradient
from .turn import frozen, unwrapped

Views = dict[str, Tensor]  # level → what D sees there


class Discriminators(ModuleDict):
    """One discriminator per level, called as a single player so that a distributed wrapper sees every call."""

    def forward(self, views: Views) -> dict[str, Tensor]:
        return {level: self[level](view) for level, view in views.items()}


class AdversarialAdapter(DomainAdapter):
    """Adversarial adaptation of any MMSegmentation ``EncoderDecoder``; subclasses define :meth:`view`.

    Several unlabelled streams are several targets. D learns to tell each of them from the source, and each has weight
    1 / their number.

    Args:
        segmentor: config of a :class:`~mmseg_adapt.models.MultiLevelSegmentor`.
        discriminator: level → config of a discriminator. Levels are ``'decode'``, ``'aux'`` (``'aux_0'``, … with
            several auxiliary heads) and ``'backbone'``, the last feature map. With an empty dict there is no
            opponent: target images only pass forward in training mode, so that BN statistics include them.
        lambda_adv: level → weight of the adversarial loss; the same levels. On target images only the heads of these
            levels run; the other heads keep the source's BN statistics.
        objective: ``'vanilla'`` (binary cross-entropy) or ``'lsgan'`` (squared error on the raw score).
        reversal: play the minimax game by gradient reversal (Ganin and Lempitsky) instead of taking turns.
        **kwargs: see :class:`~mmseg_adapt.methods.DomainAdapter`.

    Raises:
        UserError: If the levels of ``discriminator`` and ``lambda_adv`` differ, the segmentor does not produce a level,
            the objective is unknown, or ``reversal`` has no discriminator.
    """

    def __init__(
        self,
        segmentor: dict,
        discriminator: dict[str, dict],
        lambda_adv: dict[str, float],
        objective: str = 'vanilla',
        reversal: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(segmentor, **kwargs)
        self.lambda_adv = dict(lambda_adv)
        self.levels = tuple(lambda_adv)  # the levels that run on the target
        self.objective = objective
        self.reversal = reversal
        self._check_game(discriminator)
        if discriminator:
            self.discriminator = Discriminators({name: MODELS.build(cfg) for name, cfg in discriminator.items()})
            self.meet('segmentor', 'discriminator')

    def _check_game(self, discriminator: dict) -> None:
        self.check_levels('discriminator', discriminator)
        if set(discriminator) != set(self.lambda_adv):
            raise UserError(
                f'model.discriminator has the levels {sorted(discriminator)}, but model.lambda_adv has '
                f'{sorted(self.lambda_adv)}: use the same levels in both'
            )
        if self.objective not in OBJECTIVES:
            raise UserError(f'model.objective = {self.objective!r} must be one of {sorted(OBJECTIVES)}')
        if self.reversal and not discriminator:
            raise UserError('model.reversal = True needs a discriminator: set model.discriminator, or remove reversal')

    def view(self, output: Tensor, image_size: tuple[int, int]) -> Tensor:
        """What D sees of this level's output: (N, C, h, w) → (N, C', h', w')."""
        raise NotImplementedError(f'{type(self).__name__} must define view(): what its discriminator sees')

    def train_step(self, data: dict[str, dict], optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """One iteration. Both players' gradients use the same weights; then both step.

        Args:
            data: stream → batch, from a :class:`~mmseg_adapt.datasets.DomainPairDataset`: ``'source'``, one or more
                targets, and ``'labeled_target'`` if part of the target is labelled.
            optim_wrapper: one wrapper per player.

        Returns:
            The values to log: every loss and accuracy, each a scalar.
        """
        source, labeled, targets = self.streams(data)
        turns = self.turns(optim_wrapper)

        # min_S   L_seg(S(I_s)) + Σ λ_adv · L_adv(D(view(S(I_t))))        D fixed   (+ λ_t · L_seg of labelled targets)
        segmentor, seen_targets = turns[0], []
        for batch in labeled:
            with segmentor.forward(last=False):
                losses = self.learn_target(**batch)
            segmentor.backward(losses)
        with segmentor.forward(last=not self.levels):
            seen_source, losses = self.learn(**source)
        segmentor.backward(losses)
        for target in targets:
            with segmentor.forward(last=len(seen_targets) + 1 == len(targets), learns=bool(self.levels)):
                seen, losses = self.deceive(**target)
            segmentor.backward(losses, share=1 / len(targets))
            seen_targets.append(seen)

        # min_D   Σ ½ L_d(D(view(S(I_s))), source) + ½ L_d(D(view(S(I_t))), target)        S fixed
        for discriminator in turns[1:] if not self.reversal else ():  # with reversal D already has its gradients
            with discriminator.forward(last=False):
                losses = self.judge(seen_source, 'source')
            discriminator.backward(losses)
            for i, seen in enumerate(seen_targets, 1):
                with discriminator.forward(last=i == len(targets)):
                    losses = self.judge(seen, 'target')
                discriminator.backward(losses, share=1 / len(targets))

        for turn in turns:
            turn.step()
        return {name: value for turn in turns for name, value in turn.log.items()}

    def learn(self, inputs: Tensor, data_samples: list) -> tuple[Views, dict[str, Tensor]]:
        """Supervise on the source. Returns what D will see (detached) and the segmentation losses."""
        outputs = self.segmentor(inputs, mode='tensor')
        losses = self.supervised(outputs, labels_of(data_samples))
        with torch.set_grad_enabled(self.reversal):
            seen = self.views(outputs, inputs)
        if self.reversal:
            losses.update(self.judge(self.reverse(seen), 'source'))
        return detached(seen), losses

    def deceive(self, inputs: Tensor, data_samples: list) -> tuple[Views, dict[str, Tensor]]:
        """Process a target without reading labels. Returns what D will see (detached) and the adversarial losses."""
        outputs = self.segmentor(inputs, mode='tensor', levels=self.levels or None)
        seen = self.views(outputs, inputs)
        losses = self.target_losses(seen)
        return detached(seen), {**losses, **self.idle(outputs)} if losses else {}

    def target_losses(self, seen: Views) -> dict[str, Tensor]:
        """λ_adv · L_adv per level: a fixed D should mistake the target for the source."""
        if not seen:
            return {}
        if self.reversal:
            return self.judge(self.reverse(seen), 'target')
        with frozen(self.discriminator):
            scores = unwrapped(self.discriminator)(seen)
        return {
            f'{level}.loss_adv': self.lambda_adv[level] * domain_loss(score, 'source', self.objective)
            for level, score in scores.items()
        }

    def judge(self, seen: Views, domain: str) -> dict[str, Tensor]:
        """½ L_d per level: D names the domain of what it sees. Its accuracy is logged too."""
        losses = {}
        for level, score in self.discriminator(seen).items():
            losses[f'discriminator.{level}.loss_dis'] = 0.5 * domain_loss(score, domain, self.objective)
            losses[f'discriminator.{level}.accuracy.{domain}'] = domain_accuracy(score, domain, self.objective)
        return losses

    def views(self, outputs: dict[str, Tensor], inputs: Tensor) -> Views:
        return {level: self.view(outputs[level], inputs.shape[2:]) for level in self.levels}

    def reverse(self, seen: Views) -> Views:
        """What D sees. Through it, S receives the gradient of −λ_adv · L_d when D's loss is ½ L_d."""
        return {level: reversed_gradient(view, 2 * self.lambda_adv[level]) for level, view in seen.items()}


def detached(views: Views) -> Views:
    """What D sees, per level, as a constant: D's turn sends no gradient to S."""
    return {level: view.detach() for level, view in views.items()}
