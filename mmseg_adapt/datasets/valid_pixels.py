"""Where pseudo-labels count: a mask that is resized, cropped and flipped with its image."""

from __future__ import annotations

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs
from mmseg.registry import TRANSFORMS

from ..errors import UserError

VALID = 'valid_pixels'


@TRANSFORMS.register_module()
class PseudoLabelMargins(BaseTransform):
    """Mark the borders of a target image where pseudo-labels do not count: ego vehicle, rectification artefacts.

    HRDA (Hoyer et al., ECCV 2022) ignores 30 rows at the top, 240 at the bottom and 30 columns on each side of
    Cityscapes' images of 2048×1024. These margins belong to the image; the methods' ``ignore_top`` and
    ``ignore_bottom`` belong to every crop. Place this step before ``Resize`` and ``RandomCrop``, which also transform
    the mask. End the pipeline with :class:`PackValidPixels`.

    Required keys: img. Added: valid_pixels, (H, W) uint8, 1 where pseudo-labels count and 0 in the margins; seg_fields.

    Args:
        top, bottom, left, right: margins in pixels of the image at this step.

    Raises:
        UserError: If a margin is negative, or the margins leave no pixel of an image.
    """

    def __init__(self, top: int = 0, bottom: int = 0, left: int = 0, right: int = 0) -> None:
        self.margins = dict(top=top, bottom=bottom, left=left, right=right)
        if low := next((name for name, value in self.margins.items() if value < 0), None):
            raise UserError(f'PseudoLabelMargins.{low} = {self.margins[low]} must be at least 0')

    def transform(self, results: dict) -> dict:
        height, width = results['img'].shape[:2]
        top, bottom, left, right = self.margins.values()
        if top + bottom >= height or left + right >= width:
            raise UserError(
                f'{self} covers all of {results.get("img_path", "an image")}, which is {width}×{height} here: '
                'lower the margins, or move the step before Resize and RandomCrop'
            )
        valid = np.zeros((height, width), np.uint8)
        valid[top : height - bottom, left : width - right] = 1
        results[VALID] = valid
        results.setdefault('seg_fields', []).append(VALID)
        return results

    def __repr__(self) -> str:
        return f'PseudoLabelMargins({", ".join(f"{name}={value}" for name, value in self.margins.items())})'


@TRANSFORMS.register_module()
class PackValidPixels(PackSegInputs):
    """``PackSegInputs``, and the mask of :class:`PseudoLabelMargins` as ``data_sample.valid_pixels``, (1, H, W) uint8.

    Self-training reads it from there. Pixels added by ``Pad`` are 0; in the release, padding weighs 255 times as
    much as a pixel.
    """

    def transform(self, results: dict) -> dict:
        packed = super().transform(results)
        if VALID not in results:
            raise UserError('PackValidPixels needs the mask of PseudoLabelMargins: add that step, or use PackSegInputs')
        mask = torch.zeros((1, *results['img'].shape[:2]), dtype=torch.uint8)
        rows, columns = results[VALID].shape  # Pad does not change the mask
        mask[0, :rows, :columns] = torch.from_numpy(results[VALID] == 1)
        packed['data_samples'].set_data({VALID: PixelData(data=mask)})
        return packed
