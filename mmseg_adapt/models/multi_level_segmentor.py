"""An ``EncoderDecoder`` that returns the output of every level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmseg.models import EncoderDecoder
from mmseg.models.decode_heads.cascade_decode_head import BaseCascadeDecodeHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import add_prefix
from torch import Tensor, nn

from ..errors import UserError
from .foundation_vit import FoundationViT
from .heads import MAP, HeadReader, reader_of
from .low_rank import add_low_rank


@MODELS.register_module()
class MultiLevelSegmentor(EncoderDecoder):
    """MMSegmentation's ``EncoderDecoder``, with all its arguments, that also returns what every level predicts.

    ``mode='tensor'`` returns a dict: ``'decode'``, ``'aux'`` (``'aux_0'``, ``'aux_1'``, … for a list of auxiliary
    heads) → the logits that testing uses, (N, classes, h, w); ``'decode.…'``, ``'aux.…'`` → what else the losses of
    some heads need (:mod:`~mmseg_adapt.models.heads`); and ``'backbone'`` → the backbone's last feature map, before the
    neck. The other modes are MMSegmentation's.

    ``test_cfg`` has one new key: ``single_upsampling=True`` resizes whole-image logits once, to the original size, as
    AdaptSegNet's evaluation does. MMSegmentation resizes them to the network's input and then again.

    Args:
        low_rank: freeze the backbone and train low-rank adapters in it, ``dict(rank=16)``: arguments of
            :func:`~mmseg_adapt.models.low_rank.add_low_rank`. An export merges them into the weights.
        projection: config of a module that maps the backbone's last features to level ``'projected'``, for a feature
            distance; an export omits it.

    Raises:
        UserError: If a head does not yield one map of logits (the message names it), or if a ViT cannot divide the
            sliding windows into patches.
    """

    def __init__(self, *args, low_rank: dict | None = None, projection: dict | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        tested = self.test_cfg or {}
        if isinstance(self.backbone, FoundationViT) and tested.get('mode') == 'slide':
            self.backbone.check_size(tested['crop_size'], 'a window (test_cfg.crop_size)')
        if low_rank is not None:
            add_low_rank(self.backbone, **low_rank)
        if projection is not None:
            self.projection = MODELS.build(projection)
        for level, head in self.heads.items():
            if isinstance(head, BaseCascadeDecodeHead) and not self.refines(level):
                raise UserError(
                    f'level {level!r}: {type(head).__name__} refines the map of a head before it: set '
                    "model.segmentor.type = 'MultiLevelCascade' and list both in decode_head"
                )
            try:
                reader_of(head)
            except UserError as error:
                raise UserError(f'level {level!r}: {error}') from None

    def _init_decode_head(self, decode_head: dict) -> None:
        if isinstance(decode_head, list):
            raise UserError("model.segmentor.decode_head is a list: set model.segmentor.type = 'MultiLevelCascade'")
        super()._init_decode_head(decode_head)

    def refines(self, level: str) -> bool:
        """Whether the head of a level takes the previous head's map as input."""
        return False

    @property
    def auxiliary_heads(self) -> dict[str, nn.Module]:
        """Level → auxiliary head."""
        aux = getattr(self, 'auxiliary_head', None)
        if isinstance(aux, nn.ModuleList):
            return {f'aux_{i}': head for i, head in enumerate(aux)}
        return {} if aux is None else {'aux': aux}

    @property
    def heads(self) -> dict[str, nn.Module]:
        """Level → head, in the order and with the names of MMSegmentation's logged losses."""
        return {'decode': self.decode_head, **self.auxiliary_heads}

    @property
    def readers(self) -> dict[str, HeadReader]:
        """Level → the reader of its head."""
        return {level: reader_of(head)(head, self.train_cfg, self.test_cfg) for level, head in self.heads.items()}

    @property
    def levels(self) -> tuple[str, ...]:
        """The keys that ``mode='tensor'`` returns: every level where a discriminator may be placed."""
        return (*self.heads, 'backbone')

    def check_weights(self) -> None:
        """Raises: UserError: If a head's losses take no weight per pixel, which self-training needs."""
        for level, reader in self.readers.items():
            if reason := reader.weightless():
                raise UserError(
                    f'level {level!r}: {type(reader.head).__name__} does not support pixel weights, which '
                    f'self-training needs: {reason}'
                )

    def forward(self, inputs: Tensor, data_samples=None, mode: str = 'tensor', levels: Iterable[str] | None = None):
        """Like ``EncoderDecoder``; with ``mode='tensor'``, only the given ``levels`` are computed."""
        if mode == 'tensor' and levels is not None:
            return self._forward(inputs, data_samples, levels)
        return super().forward(inputs, data_samples, mode=mode)

    def _forward(
        self, inputs: Tensor, data_samples: list | None = None, levels: Iterable[str] | None = None
    ) -> dict[str, Tensor]:
        features, last = self.features(inputs)
        return {**self.read(features, self.heads if levels is None else levels), **last}

    def features(self, inputs: Tensor) -> tuple[Sequence[Tensor], dict[str, Tensor]]:
        """The inputs of the heads, and the backbone's own levels."""
        maps = self.backbone(inputs)
        last = maps if isinstance(maps, Tensor) else maps[-1]  # DDRNet in evaluation mode
        levels = {'backbone': last}
        if self.training and hasattr(self, 'projection'):
            levels['projected'] = self.projection(last)
        return self.neck(maps) if self.with_neck else maps, levels

    def read(self, features: Sequence[Tensor], levels: Iterable[str]) -> dict[str, Tensor]:
        """The outputs of the heads of ``levels`` for these features."""
        outputs = {}
        for level, reader in self.readers.items():
            if level in levels:
                outputs.update(named(level, reader.outputs(features)))
        return outputs

    def logits(self, inputs: Tensor) -> Tensor:
        """The main head's logits of whole images, (N, classes, h, w), as a teacher needs them."""
        return self.read(self.extract_feat(inputs), ('decode',))['decode']

    def backbone_input(self, inputs: Tensor) -> Tensor:
        """The images as the backbone sees them when it computes level ``'backbone'``."""
        return inputs

    def loss_by_outputs(
        self, outputs: dict[str, Tensor], labels: Tensor, weight: Tensor | None = None, accuracy: bool = True
    ) -> dict[str, Tensor]:
        """The heads' losses, ``decode.loss_ce``, ``aux.loss_ce``, …, of logits that were already computed.

        Shape: ``labels`` (N, H, W); ``weight`` of each pixel's loss (N, H, W). Arguments:
        :meth:`~mmseg_adapt.models.heads.HeadReader.losses`.
        """
        losses = {}
        for level, reader in self.readers.items():
            losses.update(add_prefix(reader.losses(of_level(level, outputs), labels, weight, accuracy), level))
        return losses

    def predict(self, inputs: Tensor, data_samples: list | None = None) -> list:
        if data_samples is None:  # no original size is known: use the input size, like mmseg
            meta = dict(img_shape=inputs.shape[2:], ori_shape=inputs.shape[2:], pad_shape=inputs.shape[2:])
            data_samples = [SegDataSample(metainfo=meta) for _ in inputs]
        return super().predict(inputs, data_samples)

    def whole_inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        if not self.test_cfg.get('single_upsampling', False):
            return super().whole_inference(inputs, batch_img_metas)
        logits = self.logits(inputs)
        if any(any(meta.get('img_padding_size', meta.get('padding_size', (0,)))) for meta in batch_img_metas):
            # padding is counted in input pixels, so remove it at input size
            return resize(logits, inputs.shape[2:], mode='bilinear', align_corners=self.align_corners)
        return logits


def named(level: str, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """A head's outputs with the segmentor's names: the map under the level's name, others under ``level.name``."""
    return {f'{level}.{name}' if name else level: value for name, value in outputs.items()}


def of_level(level: str, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The outputs of one level, with the names that its head's reader uses."""
    others = {name.removeprefix(f'{level}.'): x for name, x in outputs.items() if name.startswith(f'{level}.')}
    return {MAP: outputs[level], **others}
