"""Class probabilities of a head, which yields one map per class or, for two classes, possibly a single map."""

from __future__ import annotations

import torch
from torch import Tensor


def class_probabilities(logits: Tensor) -> Tensor:
    """Logits (N, C, …) → probabilities (N, C, …), or (N, 2, …) = (1 − p, p) if C is 1.

    MMSegmentation's heads with ``out_channels=1`` yield the logit of class 1 (p is its sigmoid). For such a head,
    ``predict`` returns p itself: see :func:`predicted_probabilities`. A head's ``threshold`` on p affects labels, not
    probabilities.
    """
    if logits.shape[1] > 1:
        return logits.softmax(1)
    return torch.cat([(-logits).sigmoid(), logits.sigmoid()], 1)


def predicted_probabilities(scores: Tensor) -> Tensor:
    """The same for MMSegmentation's predicted ``seg_logits``, (N, C, H, W): logits, or p if C is 1."""
    return scores.softmax(1) if scores.shape[1] > 1 else torch.cat([1 - scores, scores], 1)
