"""Distances to the features of the network that training started from.

DAFormer's distance (Hoyer et al., CVPR 2022, Eq. 9–11) applies to cells that show things. The distance of VFM-UDA++
(Englert and Dubbelman, arXiv 2503.10685) applies to all cells, on source and target.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .mixing import at_least_float32

CITYSCAPES_THINGS = (6, 7, 11, 12, 13, 14, 15, 16, 17, 18)  # traffic light and sign, persons, vehicles


def feature_distance(
    student: Tensor,
    frozen: Tensor,
    labels: Tensor,
    classes: Sequence[int] | None = CITYSCAPES_THINGS,
    min_ratio: float = 0.75,
) -> Tensor:
    """The mean Euclidean distance of two feature maps over the cells that show one of ``classes``.

    A cell shows its most frequent class if that class covers at least ``min_ratio`` of the cell. The mean is taken
    over the cells of the whole batch. If no cell qualifies, the distance is 0; the released code returns NaN, but its
    gradient is also 0. Computed in float32 or better.

    Args:
        student: (N, C, h, w), with a gradient.
        frozen: (N, C, h, w), of the frozen network.
        labels: (N, H, W) of the images; a cell of the map covers H // h × W // w pixels.
        classes: the classes that count; None takes every cell.
    """
    distance = torch.linalg.vector_norm(at_least_float32(student) - at_least_float32(frozen), dim=1)
    if classes is None:
        return distance.mean()
    shown, share = majority(labels, *distance.shape[1:])
    counts = torch.stack([shown == c for c in classes]).any(0) & (share >= min_ratio)
    return (distance * counts).sum() / counts.sum().clamp(min=1)


def cosine_distance(student: Tensor, frozen: Tensor) -> Tensor:
    """VFM-UDA++'s: the mean over all cells of 0.9 · (1 − cos) + 0.1 · smooth L1, in float32 or better.

    Args:
        student: (N, C, h, w), a projection of the student's features, with a gradient; resized to the frozen map.
        frozen: (N, C, H, W), of the frozen network.
    """
    student, frozen = at_least_float32(student), at_least_float32(frozen)
    if student.shape[2:] != frozen.shape[2:]:
        student = F.interpolate(student, frozen.shape[2:], mode='bilinear', align_corners=False)
    angle = 1 - F.cosine_similarity(student, frozen, dim=1)
    return (0.9 * angle + 0.1 * F.smooth_l1_loss(student, frozen, reduction='none').mean(1)).mean()


@torch.no_grad()
def frozen_features(network: nn.Module, segmentor: nn.Module, images: Tensor) -> Tensor:
    """The last features, (N, C, h, w), of a frozen network that sees the same input as the segmentor's backbone."""
    return network(segmentor.backbone_input(images))[-1]


def majority(labels: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """The most frequent label (N, rows, columns) of each cell of ``labels`` (N, H, W), and its share of the pixels.

    Ties go to the lowest label. Pixels at the right and bottom that do not fill a cell are ignored.
    """
    high, wide = labels.shape[1] // rows, labels.shape[2] // columns
    cells = labels[:, : rows * high, : columns * wide].unflatten(2, (columns, wide)).unflatten(1, (rows, high))
    cells = cells.transpose(2, 3).flatten(3)  # (N, rows, columns, pixels)
    ones = torch.ones((), dtype=torch.int32, device=labels.device).expand(cells.shape)
    histogram = torch.zeros(*cells.shape[:3], 256, dtype=torch.int32, device=labels.device).scatter_add_(3, cells, ones)
    most, shown = histogram.max(3)
    return shown, most / (high * wide)
