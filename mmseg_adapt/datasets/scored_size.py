"""Scoring at a size other than that of the files."""

from __future__ import annotations

from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ScoreAtThisSize(BaseTransform):
    """Score predictions at the image's size at this step, not at the size of its file.

    The release of DACS scores Cityscapes at 1024×512. To do the same, load labels before ``Resize``, which also shrinks
    them, and put this step after it. The scores differ from those on full-resolution labels.

    Required keys: img. Modified: ori_shape.
    """

    def transform(self, results: dict) -> dict:
        results['ori_shape'] = results['img'].shape[:2]
        return results
