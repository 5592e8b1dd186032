"""mIoU with every class's IoU among the logged values, so that a table can be made from the log."""

from __future__ import annotations

import numpy as np
from mmengine.logging import print_log
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

from ..errors import UserError


@METRICS.register_module()
class ClassIoUMetric(IoUMetric):
    """MMSegmentation's ``IoUMetric`` that also returns ``IoU.<class>`` in percent (NaN for a class that never occurs).

    One confusion over the whole set, as in the papers: intersections and unions are summed over images before dividing.

    Args:
        without: name of a further mIoU → the classes that it leaves out, for protocols on fewer classes, e.g.
            ``dict(mIoU16=('terrain', 'truck', 'train'))``. Predictions of a left-out class still count as errors.

    Raises:
        UserError: ``without`` names a class that the data set does not have.
    """

    def __init__(self, *args, without: dict[str, tuple[str, ...]] | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.without = without or {}

    def compute_metrics(self, results: list) -> dict[str, float]:
        metrics = dict(super().compute_metrics(results))
        if self.format_only or 'mIoU' not in self.metrics:
            return metrics
        intersect, union = (sum(r[i] for r in results).numpy() for i in (0, 1))
        with np.errstate(divide='ignore', invalid='ignore'):
            iou = dict(zip(self.dataset_meta['classes'], 100 * intersect / union))
        for name, excluded in self.without.items():
            if unknown := set(excluded) - set(iou):
                raise UserError(
                    f'ClassIoUMetric.without.{name} names {sorted(unknown)}, which the data set does not have'
                )
            metrics[name] = round(float(np.nanmean([v for c, v in iou.items() if c not in excluded])), 2)
            print_log(f'{name}, without {", ".join(excluded)}: {metrics[name]:.2f}', 'current')
        metrics.update({f'IoU.{c}': round(float(v), 2) for c, v in iou.items()})
        return metrics
