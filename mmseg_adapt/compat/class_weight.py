"""``CrossEntropyLoss(class_weight=…)`` on labels with ignored pixels.

mmseg 1.2.2 looks up the weight of class 255, which fails. The fork (1.4.2) does not look it up, but fails with
``avg_non_ignore=True``. Remove when mmseg divides by the weights of the valid pixels, as PyTorch does.
"""

from __future__ import annotations

from mmseg.models.losses import cross_entropy_loss
from torch import Tensor

_original = cross_entropy_loss.cross_entropy


def cross_entropy(
    pred: Tensor,
    label: Tensor,
    weight: Tensor | None = None,
    class_weight: Tensor | None = None,
    reduction: str = 'mean',
    avg_factor: float | Tensor | None = None,
    ignore_index: int = -100,
    avg_non_ignore: bool = False,
) -> Tensor:
    """mmseg's cross-entropy, but averaged over class weights like ``torch.nn.functional.cross_entropy``."""
    if class_weight is not None and avg_factor is None and reduction == 'mean':
        avg_factor = class_weight[label[label != ignore_index]].sum()
    return _original(pred, label, weight, class_weight, reduction, avg_factor, ignore_index, avg_non_ignore)


cross_entropy_loss.cross_entropy = cross_entropy  # CrossEntropyLoss looks it up when it is built
