"""Predictions of a segmentor for an image, its mirror image, and a mixture of two images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmseg.models import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor

from ..methods.mixing import class_mask, draw_classes, mix
from ..models.probabilities import predicted_probabilities
from ..random_state import derived_seed
from .scores import entropy

PIXELS = 2**15  # compared per image, on a regular grid: all pixels of a 256×128 image


@dataclass(frozen=True)
class View:
    """A prediction on the compared pixels: every ``stride``-th row and column of the predicted image."""

    inputs: Tensor  # (3, H', W'), the network's input before normalisation
    meta: dict
    whole: Tensor  # (H, W) labels of all pixels
    labels: Tensor  # (h, w)
    p: Tensor  # (C, h, w) float32

    @property
    def stride(self) -> int:
        return stride_of(self.whole)

    def sums(self) -> tuple[np.ndarray, float]:
        """Probabilities (C,) and :func:`~.scores.entropy`, summed over the compared pixels."""
        p = self.p.flatten(1).sum(1, dtype=torch.float64).cpu().numpy()
        return p, float(entropy(self.p).sum(dtype=torch.float64))


def stride_of(labels: Tensor) -> int:
    """The smallest stride that keeps at most :data:`PIXELS` pixels of (H, W), apart from rounding at the border."""
    stride = 1
    while labels.numel() > PIXELS * stride**2:
        stride += 1
    return stride


def thinned(x: Tensor, stride: int) -> Tensor:
    return x[..., ::stride, ::stride]


@torch.no_grad()
def predict(segmentor: EncoderDecoder, inputs: list[Tensor], metas: list[dict]) -> list[SegDataSample]:
    """Predictions for images of the same size, (3, H, W) each. Earlier mirroring is not undone."""
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
    """The labels (h, w) of a ClassMix of two images, and the same mixture of their labels.

    Half of the classes in ``view`` are pasted onto ``other``. None if the images differ in size.

    Args:
        number: random seed for the choice of classes.
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
