"""The base of every method of adaptation: a segmentor, its players, supervision by labels, and what is deployed."""

from __future__ import annotations

from collections.abc import Iterable

from mmengine.model import BaseModel, is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmseg.models import CascadeEncoderDecoder
from mmseg.registry import MODELS
from mmseg.utils import add_prefix
from torch import Tensor, nn

from ..datasets.streams import SOURCE, is_labelled
from ..errors import UserError
from ..models.losses import labels_of
from ..models.refusals import check_buildable
from ..weights.parts import accept_plain
from .clock import Clock
from .turn import Turn, unwrapped


class DomainAdapter(BaseModel):
    """Base of all methods. Subclasses define ``train_step`` and call :meth:`meet` once their players exist.

    A *player* has its own optimiser, whose key in ``optim_wrapper`` is the player's attribute name. A *part* (a
    teacher, a frozen network) is a child without an optimiser. It may follow a player: :meth:`follow`.

    Args:
        segmentor: config of a :class:`~mmseg_adapt.models.MultiLevelSegmentor`.
        lambda_target: weight λ_t of the segmentation loss on labelled streams other than the source, such as
            ``labeled_target``.
        data_preprocessor: as in MMSegmentation; applied to each stream separately. Defaults to the segmentor's.
        pretrained, train_cfg: must be None; ``mmseg.apis.init_model`` writes them into every model's config.

    Raises:
        UserError: If the segmentor cannot be adapted or needs a missing package; the message names it.
    """

    def __init__(
        self,
        segmentor: dict,
        lambda_target: float = 1.0,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
        pretrained: None = None,
        train_cfg: None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        check_buildable(segmentor)
        self.segmentor = MODELS.build(segmentor)
        accept_plain(self)
        if data_preprocessor is None:
            self.data_preprocessor = self.segmentor.data_preprocessor
        self.data_preprocessor._non_blocking = True  # mmseg has no argument for it; else the host waits
        self.lambda_target = lambda_target
        self.meet('segmentor')

    def meet(self, *players: str) -> None:
        """Name the players. All of them must be attributes by the first iteration."""
        self.players = players
        self.clock = Clock(players)

    def check_levels(self, key: str, levels: Iterable[str]) -> None:
        """Raises: UserError: If ``model.<key>`` names a level that the segmentor does not produce."""
        produced = getattr(self.segmentor, 'levels', None)
        if produced is None:
            ours = 'MultiLevelCascade' if isinstance(self.segmentor, CascadeEncoderDecoder) else 'MultiLevelSegmentor'
            raise UserError(
                f'model.segmentor is a {type(self.segmentor).__name__}, which does not return levels: '
                f'set model.segmentor.type = {ours!r}'
            )
        if unknown := sorted(set(levels) - set(produced)):
            raise UserError(f'model.{key} has {unknown}: its keys must be levels of the segmentor, {list(produced)}')

    def turns(self, optim_wrapper: OptimWrapperDict) -> list[Turn]:
        """One turn per player, after the parts have followed their players."""
        turns = [Turn(self, player, optim_wrapper[player]) for player in self.players]
        self.follow()
        return turns

    def follow(self) -> None:
        """Let frozen parts follow their player. Called at the start of every iteration, before any forward pass."""

    def streams(self, data: dict[str, dict]) -> tuple[dict, list[dict], list[dict]]:
        """The source's batch, the batches of other labelled streams, and the targets', each preprocessed separately.

        A batch has ``inputs`` (N, 3, H, W) on the model's device and ``data_samples``.
        """
        batches = {name: self.data_preprocessor(batch, True) for name, batch in data.items()}
        source = batches.pop(SOURCE)
        labeled = [batch for name, batch in batches.items() if is_labelled(name)]
        return source, labeled, [batch for name, batch in batches.items() if not is_labelled(name)]

    def supervised(self, outputs: dict[str, Tensor], labels: Tensor, weight: Tensor | None = None) -> dict[str, Tensor]:
        """The segmentation losses of the segmentor's outputs.

        Shape: ``labels`` (N, H, W); ``weight`` of each pixel's loss (N, H, W), None for 1.
        """
        return unwrapped(self.segmentor).loss_by_outputs(outputs, labels, weight, accuracy=self.clock.logs)

    def learn_target(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Semi-supervised: λ_t times the segmentation losses of labelled target images."""
        losses = self.supervised(self.segmentor(inputs, mode='tensor'), labels_of(data_samples))
        return add_prefix(scaled(losses, self.lambda_target), 'labeled_target')

    def idle(self, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """A zero that depends on every parameter of the segmentor: DDP waits for a gradient of each."""
        if not is_model_wrapper(self.segmentor):
            return {}
        readers = dict(self.segmentor.module.heads, projected=getattr(self.segmentor.module, 'projection', None))
        skipped = (reader for level, reader in readers.items() if reader is not None and level not in outputs)
        parameters = (p for reader in skipped for p in reader.parameters() if p.requires_grad)
        tensors = (x for x in (*outputs.values(), *parameters) if isinstance(x, Tensor))
        return {'idle.loss_zero': sum(0.0 * tensor.sum() for tensor in tensors)}

    def forward(self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor'):
        """Run the adapted segmentor; inference, evaluation and export need nothing else."""
        return self.segmentor(inputs, data_samples, mode=mode)

    @property
    def decode_head(self) -> nn.Module:
        """The segmentor's head. MMSegmentation's ``SegTTAModel`` asks a model for it and for ``out_channels``."""
        return unwrapped(self.segmentor).heads['decode']

    @property
    def out_channels(self) -> int:
        return unwrapped(self.segmentor).out_channels


def scaled(losses: dict[str, Tensor], weight: float) -> dict[str, Tensor]:
    """Multiply the losses by ``weight``. Entries that are only logged (accuracies) do not change."""
    return {name: weight * value if 'loss' in name else value for name, value in losses.items()}
