"""mIoU, with every class's IoU among the logged values, so that a table can be made from the log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import get_dist_info
from mmengine.logging import print_log
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from PIL import Image

from ..errors import UserError, writing
from ..files.listing import name_below


@METRICS.register_module()
class ClassIoUMetric(IoUMetric):
    """MMSegmentation's ``IoUMetric`` that also returns ``IoU.<class>`` in percent (NaN for a class that never occurs).

    It uses one confusion matrix over the whole set, as in the papers: intersections and unions are summed over images
    before dividing. ``IoUMetric`` keeps the areas of every image and adds them up in single precision. This class keeps
    their sum in double precision: memory does not grow with the number of images, and every pixel counts.

    Args:
        without: name of an additional mIoU → the classes to leave out, for protocols on fewer classes, e.g.
            ``dict(mIoU16=('terrain', 'truck', 'train'))``. Predictions of a left-out class still count as errors.

    Written predictions (``output_dir``) keep their images' paths within ``folder``, which ``tools/test.py`` sets to the
    data set's folder. Without it, the image's name alone is used, as in ``IoUMetric``.

    Raises:
        UserError: If two predictions would be the same file, or ``without`` names a class that the data set does not
            have.
    """

    def __init__(self, *args, without: dict[str, tuple[str, ...]] | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.without = without or {}
        self.processed = 0
        self.folder: str | None = None
        self._written: dict[str, str] = {}  # file → image

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep in ``self.results`` the sum of all earlier areas and the last image's areas. Areas: see :meth:`_sum`."""
        output_dir, self.output_dir = self.output_dir, None
        try:
            super().process(data_batch, data_samples)
        finally:
            self.output_dir = output_dir
        if output_dir is not None:
            for sample in data_samples:
                self._write(sample)
        self.processed += len(data_samples)
        self.results = [self._sum(part) for part in (self.results[:-1], self.results[-1:]) if part]

    def _write(self, sample: dict) -> None:
        """One PNG of class indices."""
        image, name = sample['img_path'], name_below(sample['img_path'], self.folder)
        path = Path(self.output_dir, f'{name}.png').resolve()
        if self._written.setdefault(str(path), image) != image:
            raise UserError(
                f'{self._written[str(path)]} and {image} would both be written to {path}: test one folder at a time'
            )
        labels = sample['pred_sem_seg']['data'].squeeze().cpu().numpy()
        labels = labels + 1 if sample.get('reduce_zero_label', False) else labels
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(labels.astype(np.uint8)).save(path)

    def evaluate(self, size: int) -> dict[str, float]:
        """Compute the scores of a set of ``size`` images; the sums of all ranks are added up.

        mmengine's samplers repeat an image where the ranks' numbers of images would differ. It is the last image of
        its rank and is not counted.
        """
        rank, world_size = get_dist_info()
        if (self.processed - 1) * world_size + rank >= size:
            self.results = self.results[:-1]
        self.results = [] if self.format_only else [self._sum(self.results)]
        self.processed = 0
        return super().evaluate(world_size)

    @staticmethod
    def intersect_and_union(
        pred_label: torch.Tensor, label: torch.Tensor, num_classes: int, ignore_index: int
    ) -> tuple:
        """Pixels per class, (classes,) each: like mmseg's, whose histogram is not deterministic on a GPU."""
        valid = label != ignore_index
        pred_label, label = pred_label[valid].long(), label[valid].long()
        maps = pred_label[pred_label == label], pred_label, label
        counts = torch.stack([torch.bincount(ids, minlength=num_classes)[:num_classes] for ids in maps]).cpu()
        intersect, predicted, labelled = counts
        return intersect, predicted + labelled - intersect, predicted, labelled

    def _sum(self, areas: list) -> torch.Tensor:
        """(4, classes): pixels of intersection, union, prediction and ground truth, exact up to 2⁵³."""
        zero = torch.zeros(4, len(self.dataset_meta['classes']), dtype=torch.float64)
        return sum((torch.stack(tuple(a)).double() for a in areas), zero)

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
                    f'ClassIoUMetric.without.{name} has {sorted(unknown)}, but the data set does not: correct the names'
                )
            metrics[name] = round(float(np.nanmean([v for c, v in iou.items() if c not in excluded])), 2)
            print_log(f'{name}, without {", ".join(excluded)}: {metrics[name]:.2f}', 'current')
        metrics.update({f'IoU.{c}': round(float(v), 2) for c, v in iou.items()})
        return metrics
