"""Scoring at another size than that of the files."""

from __future__ import annotations

from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ScoreAtThisSize(BaseTransform):
    """Score predictions at the size that the image has at this step, instead of the size of its file.

    The release of DACS scores Cityscapes at 1024×512: labels are loaded before ``Resize``, which shrinks them too, and
    this step follows it. The numbers are not those of full-resolution labels.

    Required keys: img. Modified: ori_shape.
    """

    def transform(self, results: dict) -> dict:
        results['ori_shape'] = results['img'].shape[:2]
        return results
