"""What a segmentor says of an image, of its mirror image, and of a mixture of two images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from mmengine.dataset import pseudo_collate
from mmseg.models import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor

from ..methods.mixing import class_mask, draw_classes, mix
from ..models.probabilities import predicted_probabilities
from ..random_state import derived_seed

PIXELS = 2**15  # of an image that are compared: a grid over it, every pixel of 256×128


@dataclass(frozen=True)
class View:
    """A prediction on the pixels that are compared, every ``stride``-th row and column of the predicted image."""

    inputs: Tensor  # (3, H', W') as the network gets it, before normalisation
    meta: dict
    whole: Tensor  # (H, W) labels of all pixels
    labels: Tensor  # (h, w)
    p: Tensor  # (C, h, w) float32

    @property
    def stride(self) -> int:
        return stride_of(self.whole)


def stride_of(labels: Tensor) -> int:
    """The least with which at most :data:`PIXELS` of (H, W) remain, but for rounding up at the border."""
    stride = 1
    while labels.numel() > PIXELS * stride**2:
        stride += 1
    return stride


def thinned(x: Tensor, stride: int) -> Tensor:
    return x[..., ::stride, ::stride]


@torch.no_grad()
def predict(segmentor: EncoderDecoder, inputs: list[Tensor], metas: list[dict]) -> list[SegDataSample]:
    """Predictions of images of one size, (3, H, W) each; what they were mirrored by before is not undone."""
    samples = [SegDataSample(metainfo={**meta, 'flip': False}) for meta in metas]
    return segmentor.test_step(
        pseudo_collate([dict(inputs=x, data_samples=sample) for x, sample in zip(inputs, samples)])
    )


def labels_of(result: SegDataSample) -> Tensor:
    """(H, W) int64."""
    return result.pred_sem_seg.data[0].long()


def both_ways(segmentor: EncoderDecoder, inputs: Tensor, meta: dict) -> tuple[View, Tensor]:
    """The view of an image (3, H, W), and the labels (h, w) of its mirror image, mirrored back."""
    there, back = predict(segmentor, [inputs, inputs.flip(-1)], [meta, meta])
    labels = labels_of(there)
    stride = stride_of(labels)
    p = predicted_probabilities(thinned(there.seg_logits.data, stride).float()[None])[0]
    view = View(inputs, meta, labels, thinned(labels, stride), p)
    return view, thinned(labels_of(back).flip(-1), stride)


def mixture(segmentor: EncoderDecoder, view: View, other: View, number: int) -> tuple[Tensor, Tensor] | None:
    """The labels (h, w) of a ClassMix of two images, and the same mixture of their own labels.

    Half of the classes that ``view`` shows are pasted onto ``other``. None of images that differ in size.

    Args:
        number: seeds the draw of the classes.
    """
    if view.inputs.shape != other.inputs.shape or view.whole.shape != other.whole.shape:
        return None
    generator = torch.Generator().manual_seed(derived_seed(number))
    mask = class_mask(view.whole[None], draw_classes(view.whole[None], generator, of='image'))
    mixed = mix(mask, view.whole[None], other.whole[None])[0]
    rows, columns = (torch.arange(n) * m // n for n, m in zip(view.inputs.shape[1:], view.whole.shape))
    seen = mask[:, rows[:, None], columns].to(view.inputs.device)
    inputs = mix(seen, view.inputs[None], other.inputs[None])[0]
    (found,) = predict(segmentor, [inputs], [view.meta])
    return thinned(labels_of(found), view.stride), thinned(mixed, view.stride)
