"""Scores of a segmentor that need no target labels, as pure functions of label maps and probabilities.

Label maps are (H, W) integers in 0 … C − 1; 255 in the second of two maps means "ignore". Probabilities are (C, H, W)
and sum to 1 over the classes. Areas are (2, C) float64: pixels of intersection and of union. As in the mIoU of the
papers, sum them over the images before dividing.
"""

from __future__ import annotations

from math import log

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..evaluation import ClassIoUMetric
from ..methods.mixing import at_least_float32

POINTS = 400  # pixels per image that SND compares


def areas(a: Tensor, b: Tensor, classes: int) -> np.ndarray:
    """(2, C): for each class, the pixels where both label maps have it, and where at least one of them has it.

    The mIoU between the label maps of a snapshot and of the pool's average is *agreement*: EnsV (Hu et al., "Towards
    Reliable Model Selection for Unsupervised Domain Adaptation", NeurIPS 2024) with mIoU instead of accuracy. The mIoU
    between the label maps of an image and of its mirror image, mirrored back, is *flip consistency*.
    """
    intersect, union, *_ = ClassIoUMetric.intersect_and_union(a, b, classes, ignore_index=255)
    return torch.stack([intersect, union]).double().numpy()


def miou(total: np.ndarray, counted: np.ndarray | None = None) -> float:
    """Mean of intersection / union, in [0, 1], of areas (2, C); NaN if there are no classes to average.

    Args:
        counted: (C,) bool, the classes to average over. A class that occurs in neither map then counts 0, so that a
            model that has lost it is not rewarded. By default the classes that occur.
    """
    intersect, union = total
    counted = union > 0 if counted is None else counted
    return float((intersect / np.maximum(union, 1))[counted].mean()) if counted.any() else float('nan')


def entropy(p: Tensor) -> Tensor:
    """(C, …) → (…): entropy of each pixel's probabilities, divided by log C: 0 certain … 1 uniform."""
    return torch.special.entr(p).sum(0) / log(len(p))


def infomax(p: np.ndarray, uncertain: np.ndarray | float) -> np.ndarray:
    """(…, C), (…) → (…): H(mean of p) − mean of H(p), both divided by log C: in [0, 1], larger is better.

    The mutual information of image and label (Bridle et al., NeurIPS 1991; Shi & Sha, ICML 2012). It is large if the
    model is certain about every pixel and uses every class.

    Args:
        p: the sum of the probabilities over all pixels.
        uncertain: the sum of :func:`entropy` over the same pixels.
    """
    pixels = p.sum(-1)
    return entropy(torch.from_numpy(p / pixels[..., None]).movedim(-1, 0)).numpy() - uncertain / pixels


def soft_neighbourhood_density(p: Tensor, temperature: float = 0.05) -> float:
    """SND (Saito et al., ICCV 2021, Eq. 1–3) of N pixels' probabilities (C, N); larger is better, says the paper.

    The mean entropy of P_ij = exp(f_i · f_j / τ) / Σ_{k ≠ i} exp(f_i · f_k / τ), j ≠ i, where f are the probabilities
    divided by their Euclidean norm. In [0, log(N − 1)].
    """
    f = F.normalize(at_least_float32(p), dim=0)
    similarity = (f.T @ f / temperature).fill_diagonal_(-torch.inf)
    return float(torch.special.entr(similarity.softmax(1)).sum(1).mean())


def points_of(p: Tensor, count: int = POINTS) -> Tensor:
    """(C, H, W) → (C, N): at most ``count`` pixels, evenly spaced in row order."""
    flat = p.flatten(1)
    count = min(count, flat.shape[1])
    return flat[:, torch.arange(count, device=p.device) * flat.shape[1] // count]


def divergence(a: np.ndarray, b: np.ndarray) -> float:
    """Jensen–Shannon divergence, in bits, of two distributions over classes (C,): 0 equal … 1 disjoint."""

    def entropy_of(x: np.ndarray) -> float:
        x = x[x > 0]
        return float(-(x * np.log2(x)).sum())

    return max(0.0, entropy_of((a + b) / 2) - (entropy_of(a) + entropy_of(b)) / 2)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's ρ in [−1, 1]; ties share their mean rank; NaN if one of the two is constant."""
    ranks = [_ranks(np.asarray(x, float)) for x in (a, b)]
    if len(ranks[0]) < 2 or min(np.ptp(r) for r in ranks) == 0:
        return float('nan')
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(x: np.ndarray) -> np.ndarray:
    return np.array([((x < value).sum() + (x <= value).sum() - 1) / 2 for value in x])
