"""``CrossEntropyLoss(class_weight=…)`` on labels with ignored pixels.

mmseg 1.2.2 looks the weight of class 255 up, which fails; the fork (1.4.2) does not, and fails with
``avg_non_ignore=True``. Goes when mmseg divides by the weights of the pixels that count, as PyTorch does.
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
    """mmseg's, whose mean over class weights is that of ``torch.nn.functional.cross_entropy``."""
    if class_weight is not None and avg_factor is None and reduction == 'mean':
        avg_factor = class_weight[label[label != ignore_index]].sum()
    return _original(pred, label, weight, class_weight, reduction, avg_factor, ignore_index, avg_non_ignore)


cross_entropy_loss.cross_entropy = cross_entropy  # CrossEntropyLoss looks it up when it is built
