"""mIoU with every class's IoU among the logged values, so that a table can be made from the log."""

from __future__ import annotations

import numpy as np
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS


@METRICS.register_module()
class ClassIoUMetric(IoUMetric):
    """MMSegmentation's ``IoUMetric`` that also returns ``IoU.<class>`` in percent (NaN for a class that never occurs).

    One confusion over the whole set, as in the papers: intersections and unions are summed over images before dividing.
    """

    def compute_metrics(self, results: list) -> dict[str, float]:
        metrics = dict(super().compute_metrics(results))
        if self.format_only or 'mIoU' not in self.metrics:
            return metrics
        intersect, union = (sum(r[i] for r in results).numpy() for i in (0, 1))
        with np.errstate(divide='ignore', invalid='ignore'):
            iou = 100 * intersect / union
        metrics.update({f'IoU.{name}': round(float(v), 2) for name, v in zip(self.dataset_meta['classes'], iou)})
        return metrics
