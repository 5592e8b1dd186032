"""An ``EncoderDecoder`` whose every level of output can be looked at."""

from __future__ import annotations

from collections.abc import Iterable

from mmseg.models import EncoderDecoder
from mmseg.models.decode_heads.cascade_decode_head import BaseCascadeDecodeHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import add_prefix
from torch import Tensor, nn

from ..errors import UserError
from .losses import head_losses


@MODELS.register_module()
class MultiLevelSegmentor(EncoderDecoder):
    """MMSegmentation's ``EncoderDecoder``, arguments and all, that also returns what every level predicts.

    ``mode='tensor'`` returns a dict: ``'decode'``, ``'aux'`` (``'aux_0'``, ``'aux_1'``, … for a list of auxiliary
    heads) → logits (N, classes, h, w), and ``'backbone'`` → the last feature map. The other modes are MMSegmentation's.

    One key of ``test_cfg`` is new: ``single_upsampling=True`` resizes whole-image logits once, to the original size, as
    AdaptSegNet's evaluation does, where MMSegmentation resizes them to the network's input and then again.

    Raises:
        UserError: a head that does not yield one map of logits, by name.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for level, head in self.heads.items():
            cascaded = isinstance(head, BaseCascadeDecodeHead)
            if cascaded or not isinstance(head, BaseDecodeHead) or type(head).loss is not BaseDecodeHead.loss:
                raise _refusal(level, head)

    @property
    def heads(self) -> dict[str, nn.Module]:
        """Level → head, in the order and under the names that MMSegmentation logs their losses."""
        aux = getattr(self, 'auxiliary_head', None)
        if isinstance(aux, nn.ModuleList):
            return {'decode': self.decode_head, **{f'aux_{i}': head for i, head in enumerate(aux)}}
        return {'decode': self.decode_head} if aux is None else {'decode': self.decode_head, 'aux': aux}

    @property
    def levels(self) -> tuple[str, ...]:
        """The keys that ``mode='tensor'`` returns: every place where a discriminator may look."""
        return (*self.heads, 'backbone')

    def forward(self, inputs: Tensor, data_samples=None, mode: str = 'tensor', levels: Iterable[str] | None = None):
        """As ``EncoderDecoder``; with ``mode='tensor'``, ``levels`` are the only ones that are computed."""
        if mode == 'tensor' and levels is not None:
            return self._forward(inputs, data_samples, levels)
        return super().forward(inputs, data_samples, mode=mode)

    def _forward(
        self, inputs: Tensor, data_samples: list | None = None, levels: Iterable[str] | None = None
    ) -> dict[str, Tensor]:
        features = self.extract_feat(inputs)
        outputs = {}
        for level, head in self.heads.items():
            if levels is None or level in levels:
                outputs[level] = head(features)
                if not isinstance(outputs[level], Tensor):
                    raise _refusal(level, head)
        return {**outputs, 'backbone': features[-1]}

    def logits(self, inputs: Tensor) -> Tensor:
        """What the main head says of whole images, (N, classes, h, w), as a teacher is asked."""
        return self.decode_head(self.extract_feat(inputs))

    def backbone_input(self, inputs: Tensor) -> Tensor:
        """The images as the backbone sees them whose last features are level ``'backbone'``."""
        return inputs

    def loss_by_outputs(
        self, outputs: dict[str, Tensor], labels: Tensor, weight: Tensor | None = None, accuracy: bool = True
    ) -> dict[str, Tensor]:
        """The heads' losses, ``decode.loss_ce``, ``aux.loss_ce``, …, of logits that were computed before.

        Shape: ``labels`` (N, H, W); ``weight`` of each pixel's loss (N, H, W). Arguments:
        :func:`~mmseg_adapt.models.losses.head_losses`.
        """
        losses = {}
        for level, head in self.heads.items():
            losses.update(add_prefix(head_losses(head, outputs[level], labels, weight, accuracy), level))
        return losses

    def predict(self, inputs: Tensor, data_samples: list | None = None) -> list:
        if data_samples is None:  # there is no original size to resize to: as mmseg, at that of the input
            meta = dict(img_shape=inputs.shape[2:], ori_shape=inputs.shape[2:], pad_shape=inputs.shape[2:])
            data_samples = [SegDataSample(metainfo=meta) for _ in inputs]
        return super().predict(inputs, data_samples)

    def whole_inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        if not self.test_cfg.get('single_upsampling', False):
            return super().whole_inference(inputs, batch_img_metas)
        logits = self.logits(inputs)
        if any(any(meta.get('img_padding_size', meta.get('padding_size', (0,)))) for meta in batch_img_metas):
            # padding is removed in pixels of the input: only there can it be removed
            return resize(logits, inputs.shape[2:], mode='bilinear', align_corners=self.align_corners)
        return logits


def _refusal(level: str, head: nn.Module) -> UserError:
    return UserError(
        f'{type(head).__name__} at level {level!r} does not yield one map of logits: '
        'adapt a segmentor whose heads do, such as FCNHead, PSPHead, DepthwiseSeparableASPPHead or SegformerHead'
    )
