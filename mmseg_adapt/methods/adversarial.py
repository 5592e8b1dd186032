"""The two-player game of adversarial domain adaptation: one ``train_step``, two objectives.

A segmentor S learns from labelled source images and, on unlabelled target images, to make the discriminator D take
what it sees for source. A method (``adaptsegnet.py``) only says what D sees: ``view``. Who moves at iteration t is
decided by :class:`mmseg_adapt.engine.AlternatingUpdateHook`; without it both players move in every iteration.

The players move by turns, S towards the *wrong* domain (the "non-saturating" game). With ``reversal=True`` they play
one minimax game: what D descends, on both domains, S ascends with weight λ_adv, and one backward pass per domain gives
both players their gradients.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from mmengine.model import BaseModel, ModuleDict, is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmseg.registry import MODELS
from mmseg.utils import add_prefix
from torch import Tensor, nn

from ..errors import UserError
from ..models.losses import DOMAINS, OBJECTIVES, domain_accuracy, domain_loss
from ..weights.parts import accept_plain
from .gradient_reversal import reversed_gradient
from .turn import Share, Turn, frozen, unwrapped


def detached(views: dict[str, Tensor]) -> dict[str, Tensor]:
    """What D sees, per level, as a constant: D's turn sends no gradient to S."""
    return {level: view.detach() for level, view in views.items()}


class Discriminators(ModuleDict):
    """One discriminator per level, called as one player so that a distributed wrapper sees every call."""

    def forward(self, views: dict[str, Tensor]) -> dict[str, Tensor]:
        return {level: self[level](view) for level, view in views.items()}


class AdversarialAdapter(BaseModel):
    """Adversarial adaptation of any MMSegmentation ``EncoderDecoder``; subclasses define :meth:`view`.

    Args:
        segmentor: config of a :class:`~mmseg_adapt.models.MultiLevelSegmentor`.
        discriminator: level → config of a discriminator. Levels are ``'decode'``, ``'aux'`` (``'aux_0'``, … where there
            are several auxiliary heads) and ``'backbone'``, the last feature map. An empty dict plays without an
            opponent: target images are forwarded in training mode only, so that BN statistics absorb them.
        lambda_adv: level → weight of the adversarial loss; the same levels.
        objective: ``'vanilla'`` (binary cross-entropy) or ``'lsgan'`` (squared error on the raw score).
        reversal: play the minimax game by gradient reversal (Ganin and Lempitsky) instead of by turns.
        lambda_target: weight λ_t of the segmentation loss on a labelled part of the target, where the data set has one.
        data_preprocessor: as in MMSegmentation; applied to each domain on its own. Defaults to the segmentor's.
        pretrained, train_cfg: must be None; ``mmseg.apis.init_model`` writes them into every model's config.

    Raises:
        UserError: levels of ``discriminator`` and ``lambda_adv`` that differ or that the segmentor does not produce;
            an unknown objective; ``reversal`` without a discriminator.
    """

    def __init__(
        self,
        segmentor: dict,
        discriminator: dict[str, dict],
        lambda_adv: dict[str, float],
        objective: str = 'vanilla',
        reversal: bool = False,
        lambda_target: float = 1.0,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
        pretrained: None = None,
        train_cfg: None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.segmentor = MODELS.build(segmentor)
        accept_plain(self)
        if data_preprocessor is None:
            self.data_preprocessor = self.segmentor.data_preprocessor
        self.lambda_adv = dict(lambda_adv)
        self.levels = tuple(lambda_adv)  # where the target is looked at
        self.objective = objective
        self.reversal = reversal
        self.lambda_target = lambda_target
        self.players = ('segmentor', 'discriminator') if discriminator else ('segmentor',)
        self.movers = set(self.players)  # both written by AlternatingUpdateHook before every iteration
        self.shares: dict[str, Share] = {}  # of an optimiser step, where gradients are accumulated
        self._check_game(discriminator)
        if discriminator:
            self.discriminator = Discriminators({name: MODELS.build(cfg) for name, cfg in discriminator.items()})

    def _check_game(self, discriminator: dict) -> None:
        self._check_levels('discriminator', discriminator)
        if set(discriminator) != set(self.lambda_adv):
            raise UserError(
                f'model.discriminator has the levels {sorted(discriminator)} and model.lambda_adv '
                f'{sorted(self.lambda_adv)}: name the same levels in both'
            )
        if self.objective not in OBJECTIVES:
            raise UserError(f'model.objective = {self.objective!r} is none of {sorted(OBJECTIVES)}')
        if self.reversal and not discriminator:
            raise UserError('model.reversal = True reverses the gradient of a discriminator: name one, or remove it')

    def _check_levels(self, key: str, levels: Iterable[str]) -> None:
        produced = getattr(self.segmentor, 'levels', None)
        if produced is None:
            raise UserError(
                f'model.segmentor is a {type(self.segmentor).__name__}, which yields no levels: '
                "set model.segmentor.type = 'MultiLevelSegmentor'"
            )
        if unknown := sorted(set(levels) - set(produced)):
            raise UserError(f'model.{key} names {unknown}, but the segmentor produces {list(produced)}')

    def view(self, output: Tensor, image_size: tuple[int, int]) -> Tensor:
        """What the discriminator of a level sees of that level's output, (N, C, h, w) → (N, C', h', w')."""
        raise NotImplementedError(f'{type(self).__name__} must say what its discriminator sees: define view()')

    def train_step(self, data: dict[str, dict], optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """One iteration. Both players' gradients come from the same weights; then both step.

        Args:
            data: ``{'source': batch, 'target': batch}`` from a :class:`~mmseg_adapt.datasets.DomainPairDataset`, and a
                batch ``'labeled_target'`` where part of the target is labelled.
            optim_wrapper: one wrapper per player.

        Returns:
            What is logged: every loss and accuracy, a scalar each.
        """
        source, target = (self.data_preprocessor(data[domain], True) for domain in DOMAINS)
        turns = [Turn(self, player, optim_wrapper[player]) for player in self.players]

        # min_S   L_seg(S(I_s)) + Σ λ_adv · L_adv(D(view(S(I_t))))        D fixed   (+ λ_t · L_seg of labelled targets)
        segmentor = turns[0]
        if labeled := data.get('labeled_target'):
            with segmentor.forward(last=False):
                losses = self.learn_target(**self.data_preprocessor(labeled, True))
            segmentor.backward(losses)
        with segmentor.forward(last=not self.levels):
            seen_source, losses = self.learn(**source)
        segmentor.backward(losses)
        with segmentor.forward(learns=bool(self.levels)):
            seen_target, losses = self.deceive(**target)
        segmentor.backward(losses)

        # min_D   Σ ½ L_d(D(view(S(I_s))), source) + ½ L_d(D(view(S(I_t))), target)        S fixed
        for discriminator in turns[1:] if not self.reversal else ():  # by reversal D has its gradients by now
            with discriminator.forward(last=False):
                losses = self.judge(seen_source, 'source')
            discriminator.backward(losses)
            with discriminator.forward():
                losses = self.judge(seen_target, 'target')
            discriminator.backward(losses)

        for turn in turns:
            turn.step()
        return {name: value for turn in turns for name, value in turn.log.items()}

    def learn(self, inputs: Tensor, data_samples: list) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Supervision on the source: what D will see of it (detached), and the segmentation losses."""
        outputs = self.segmentor(inputs, mode='tensor')
        losses = unwrapped(self.segmentor).loss_by_outputs(outputs, data_samples)
        with torch.set_grad_enabled(self.reversal):
            seen = self.views(outputs, inputs)
        if self.reversal:
            losses.update(self.judge(self.reverse(seen), 'source'))
        return detached(seen), losses

    def learn_target(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Semi-supervised: the segmentation losses, times λ_t, of target images that have labels."""
        outputs = self.segmentor(inputs, mode='tensor')
        losses = unwrapped(self.segmentor).loss_by_outputs(outputs, data_samples)
        weighted = {name: self.lambda_target * value if 'loss' in name else value for name, value in losses.items()}
        return add_prefix(weighted, 'labeled_target')

    def deceive(self, inputs: Tensor, data_samples: list) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The target, whose labels nobody reads: what D will see of it (detached), and the adversarial losses."""
        outputs = self.segmentor(inputs, mode='tensor')
        seen = self.views(outputs, inputs)
        losses = self.target_losses(seen)
        if losses and is_model_wrapper(self.segmentor):  # DDP waits for a gradient of every parameter
            losses['idle.loss_zero'] = sum(0.0 * output.sum() for output in outputs.values())
        return detached(seen), losses

    def target_losses(self, seen: dict[str, Tensor]) -> dict[str, Tensor]:
        """λ_adv · L_adv per level: the target, taken for source by a D that is fixed here."""
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

    def judge(self, seen: dict[str, Tensor], domain: str) -> dict[str, Tensor]:
        """½ L_d per level: D names the domain of what it sees. How often it is right is logged beside it."""
        losses = {}
        for level, score in self.discriminator(seen).items():
            losses[f'discriminator.{level}.loss_dis'] = 0.5 * domain_loss(score, domain, self.objective)
            losses[f'discriminator.{level}.accuracy.{domain}'] = domain_accuracy(score, domain, self.objective)
        return losses

    def views(self, outputs: dict[str, Tensor], inputs: Tensor) -> dict[str, Tensor]:
        return {level: self.view(outputs[level], inputs.shape[2:]) for level in self.levels}

    def reverse(self, seen: dict[str, Tensor]) -> dict[str, Tensor]:
        """What D sees; from its losses, ½ L_d each, S receives the gradient of −λ_adv · L_d."""
        return {level: reversed_gradient(view, 2 * self.lambda_adv[level]) for level, view in seen.items()}

    def forward(self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor'):
        """The adapted segmentor: inference, evaluation and export need no discriminator."""
        return self.segmentor(inputs, data_samples, mode=mode)

    @property
    def decode_head(self) -> nn.Module:
        """The segmentor's; with ``out_channels``, what MMSegmentation's ``SegTTAModel`` asks a model for."""
        return unwrapped(self.segmentor).decode_head

    @property
    def out_channels(self) -> int:
        return unwrapped(self.segmentor).out_channels
