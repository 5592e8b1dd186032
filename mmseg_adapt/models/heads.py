"""Readers of heads: the map of logits that testing uses, the other outputs that the losses need, and the losses.

There is one reader per kind of head, so the segmentor and the methods need no special cases. See :func:`reader_of`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.decode_heads import (
    DAHead,
    DDRHead,
    EncHead,
    IterativeDecodeHead,
    Mask2FormerHead,
    MaskFormerHead,
    PIDHead,
    PointHead,
)
from mmseg.models.decode_heads.cascade_decode_head import BaseCascadeDecodeHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.decode_heads.point_head import calculate_uncertainty
from mmseg.structures import SegDataSample
from mmseg.utils import add_prefix
from torch import Tensor, nn

from ..errors import UserError
from .losses import head_losses, is_per_pixel, losses_of, mean_loss, pixel_accuracy, resized, weighted_loss

MAP = ''  # the name of the map of logits, (N, C, h, w), among a head's outputs
EDGE_WIDTH = 4  # pixels; as in MMSegmentation's PIDNet configs
TINY = 1e-6  # the score of a class without a mask; above 0 even in half precision


class HeadReader:
    """Reads a head whose losses need only its one map of logits, as most do.

    Args:
        head: the head, called by :meth:`outputs`.
        train_cfg, test_cfg: the segmentor's.
    """

    def __init__(self, head: nn.Module, train_cfg: dict | None = None, test_cfg: dict | None = None) -> None:
        self.head, self.train_cfg, self.test_cfg = head, train_cfg, test_cfg

    def outputs(self, *inputs) -> dict[str, Tensor]:
        """``MAP`` → logits (N, C, h, w), and further names → outputs that only the training losses need.

        Args:
            *inputs: the features; for a later head of a cascade also the logits of the previous head.

        Raises:
            UserError: If a custom head returns more than a map.
        """
        logits = self.head(*inputs)
        if not isinstance(logits, Tensor):
            raise UserError(f'{type(self.head).__name__} {NOT_ONE_MAP}')
        return {MAP: logits}

    def losses(
        self, outputs: dict[str, Tensor], labels: Tensor, weight: Tensor | None = None, accuracies: bool = True
    ) -> dict[str, Tensor]:
        """The head's losses of its ``outputs``, with MMSegmentation's names.

        Args:
            labels: (N, H, W).
            weight: weight of each pixel's loss, (N, H, W); allowed only if :meth:`weightless` returns None.
            accuracies: whether to return ``acc_seg`` too.
        """
        return head_losses(self.head, outputs[MAP], labels, weight, accuracies)

    def weightless(self) -> str | None:
        """Why the losses cannot take a weight per pixel, and the cure; None if they can."""
        for loss in losses_of(self.head):
            if not is_per_pixel(loss, self.head.out_channels):
                return f'{type(loss).__name__} is not a loss per pixel: set loss_decode to CrossEntropyLoss'
        return None


class OwnLossReader(HeadReader):
    """For a head with one map and its own losses, such as STDC's boundary losses."""

    def losses(self, outputs, labels, weight=None, accuracies=True):
        return self.head.loss_by_feat(outputs[MAP], samples_of(labels))

    def weightless(self):
        return 'it has its own losses: remove it, or use FCNHead'


class EncReader(HeadReader):
    """For EncNet's: besides the map, it returns which classes occur in the image, (N, C) logits."""

    def outputs(self, *inputs):
        if not self.head.use_se_loss:
            return super().outputs(*inputs)
        logits, classes = self.head(*inputs)
        return {MAP: logits, 'classes': classes}

    def losses(self, outputs, labels, weight=None, accuracies=True):
        losses = super().losses(outputs, labels, weight, accuracies)
        if 'classes' in outputs:
            occur = self.head._convert_to_onehot_labels(labels, self.head.num_classes)
            losses['loss_se'] = self.head.loss_se_decode(outputs['classes'], occur)
        return losses

    def weightless(self):
        return (
            'one of its losses is per image: set use_se_loss = False' if self.head.use_se_loss else super().weightless()
        )


class DualAttentionReader(HeadReader):
    """For DANet's: the map of both attentions, which testing uses, and one map of each."""

    def outputs(self, *inputs):
        both, position, channel = self.head(*inputs)
        return {MAP: both, 'pam': position, 'cam': channel}

    def losses(self, outputs, labels, weight=None, accuracies=True):
        losses = {}
        for name, logits in outputs.items():
            part = head_losses(self.head, logits, labels, weight, accuracies)
            losses.update(add_prefix(part, name or 'pam_cam'))
        return losses


class KernelReader(HeadReader):
    """For K-Net's: a map of every stage; testing uses the last."""

    def outputs(self, *inputs):
        maps = self.head(*inputs)
        *earlier, last = maps if isinstance(maps, list) else [maps]
        return {**{f's{i}': logits for i, logits in enumerate(earlier)}, MAP: last}

    def losses(self, outputs, labels, weight=None, accuracies=True):
        losses = {}
        for i, logits in enumerate([*(x for name, x in outputs.items() if name), outputs[MAP]]):
            part = head_losses(self.head.kernel_generate_head, logits, labels, weight, accuracies)
            losses.update({f'{name}.s{i}': value for name, value in part.items()})
        return losses

    def weightless(self):
        return HeadReader(self.head.kernel_generate_head).weightless()


class ContextReader(HeadReader):
    """For DDRNet's: in training, a map of the context, which testing uses, and one of the details."""

    def outputs(self, *inputs):
        maps = self.head(*inputs)
        return dict(zip((MAP, 'spatial'), maps)) if isinstance(maps, tuple) else {MAP: maps}

    def losses(self, outputs, labels, weight=None, accuracies=True):
        head, losses = self.head, {}
        for (name, logits), loss in zip(outputs.items(), losses_of(head)):
            logits = resized(head, logits, labels)
            if weight is None:
                value = mean_loss(loss, logits, labels, None, head.ignore_index)
            else:
                value = weighted_loss(loss, logits, labels, weight, head.ignore_index)
            losses[f'loss_{name or "context"}'] = value
        if accuracies:
            losses['acc_seg'] = pixel_accuracy(resized(head, outputs[MAP], labels), labels, head.ignore_index)
        return losses


class BoundaryReader(HeadReader):
    """For PIDNet's: in training, maps of the details and of the boundaries besides the one that testing uses."""

    def outputs(self, *inputs):
        maps = self.head(*inputs)
        return dict(zip(('details', MAP, 'boundaries'), maps)) if isinstance(maps, tuple) else {MAP: maps}

    def losses(self, outputs, labels, weight=None, accuracies=True):
        maps = tuple(outputs[name] for name in ('details', MAP, 'boundaries'))
        samples = samples_of(labels)
        for sample, edge in zip(samples, edges(labels, EDGE_WIDTH, self.head.ignore_index)):
            sample.gt_edge_map = PixelData(data=edge[None])
        return self.head.loss_by_feat(maps, samples)

    def weightless(self):
        return 'its boundary loss is not a loss per pixel: use FCNHead'


class PointReader(HeadReader):
    """For PointRend's, last in a cascade: the refined map, and in training the logits at random points."""

    def outputs(self, features, coarse):
        head, cfg = self.head, self.test_cfg
        size = torch.Size(round(side * cfg['scale_factor'] ** cfg['subdivision_steps']) for side in coarse.shape[2:])
        outputs = {MAP: head.predict(features, coarse, [dict(img_shape=size)], cfg)}
        if head.training:
            with torch.no_grad():
                points = head.get_points_train(coarse, calculate_uncertainty, cfg=self.train_cfg)
            fine = head._get_fine_grained_point_feats(head._transform_inputs(features), points)
            outputs.update(points=points, at_points=head(fine, head._get_coarse_point_feats(coarse, points)))
        return outputs

    def losses(self, outputs, labels, weight=None, accuracies=True):
        return self.head.loss_by_feat(outputs['at_points'], outputs['points'], samples_of(labels))

    def weightless(self):
        return 'its loss is per random point: use only the head before it'


class MaskReader(HeadReader):
    """For MaskFormer's and Mask2Former's: each query gives a class and a mask; their product locates the class.

    The map is the logarithm of the products' sum over the queries; where probabilities are needed, a softmax normalises
    it. Testing takes the class with the largest sum, and so does the map.
    """

    def outputs(self, features):
        size = tuple(4 * side for side in features[0].shape[2:])  # size of the image, which these heads only pass on
        metas = dict(img_shape=size, batch_input_shape=size)
        classes, masks = self.head(features, [SegDataSample(metainfo=metas) for _ in features[0]])
        score = torch.einsum('bqc,bqhw->bchw', classes[-1].softmax(-1)[..., :-1], masks[-1].sigmoid())
        outputs = {MAP: (score + TINY).log()}
        if self.head.training:
            outputs.update({f'classes.{i}': x for i, x in enumerate(classes)})
            outputs.update({f'masks.{i}': x for i, x in enumerate(masks)})
        return outputs

    def losses(self, outputs, labels, weight=None, accuracies=True):
        samples = samples_of(labels)
        for sample in samples:
            sample.set_metainfo(dict(img_shape=tuple(labels.shape[1:])))
        classes, masks = ([x for name, x in outputs.items() if name.startswith(part)] for part in ('classes', 'masks'))
        return self.head.loss_by_feat(classes, masks, *self.head._seg_data_to_instance_data(samples))

    def weightless(self):
        return 'its losses compare matched masks: use SegmenterMaskTransformerHead or FCNHead'


NOT_ONE_MAP = (
    'does not return a single logit map: use a segmentor with other heads, such as FCNHead, PSPHead, '
    'DepthwiseSeparableASPPHead or SegformerHead'
)
READERS = {
    DAHead: DualAttentionReader,
    DDRHead: ContextReader,
    EncHead: EncReader,
    IterativeDecodeHead: KernelReader,
    Mask2FormerHead: MaskReader,
    MaskFormerHead: MaskReader,
    PIDHead: BoundaryReader,
    PointHead: PointReader,
}


def reader_of(head: nn.Module) -> type[HeadReader]:
    """The reader for a head.

    Raises:
        UserError: If a head has no reader; the message names it.
    """
    kind = type(head)
    for known, reader in READERS.items():
        if isinstance(head, known):
            return reader
    base = BaseCascadeDecodeHead if isinstance(head, BaseCascadeDecodeHead) else BaseDecodeHead
    if not isinstance(head, base) or kind.loss is not base.loss or kind.predict is not base.predict:
        raise UserError(f'{kind.__name__} {NOT_ONE_MAP}')
    return HeadReader if kind.loss_by_feat is BaseDecodeHead.loss_by_feat else OwnLossReader


def samples_of(labels: Tensor) -> list[SegDataSample]:
    """Convert label maps (N, H, W) to the data samples that MMSegmentation's losses read."""
    return [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]


def edges(labels: Tensor, width: int, ignore_index: int = 255) -> Tensor:
    """Like MMSegmentation's ``GenerateEdge``, (N, H, W) of 0 and 1: lines of ``width`` pixels between classes.

    Computed here because pseudo-labels and mixtures have their own boundaries, which are not in a file.
    """
    found = torch.zeros_like(labels, dtype=torch.bool)

    def meet(here: Tensor, there: Tensor) -> Tensor:
        return (here != there) & (here != ignore_index) & (there != ignore_index)

    found[:, 1:] |= meet(labels[:, 1:], labels[:, :-1])
    found[:, :, :-1] |= meet(labels[:, :, :-1], labels[:, :, 1:])
    found[:, :-1, :-1] |= meet(labels[:, :-1, :-1], labels[:, 1:, 1:])
    found[:, :-1, 1:] |= meet(labels[:, :-1, 1:], labels[:, 1:, :-1])
    before = width // 2
    padded = F.pad(found[:, None].float(), (before, width - 1 - before) * 2)
    return F.max_pool2d(padded, width, stride=1)[:, 0].long()
