"""A random crop that shows the class for which its image was drawn."""

from __future__ import annotations

from mmcv.transforms.utils import cache_randomness
from mmseg.datasets.transforms import RandomCrop
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RareClassCrop(RandomCrop):
    """``RandomCrop`` of an image that :class:`~mmseg_adapt.datasets.RareClassOrder` drew for a class c.

    While the box shows at most ``min_pixels`` of c, it is drawn again, up to ``tries`` times; the last box is used
    in any case. The released code (Hoyer et al., "DAFormer") instead runs the whole pipeline again, up to 11 times, and
    reads the file each time. The boxes have the same distribution here, at a fraction of the cost. An image that was
    not drawn for a class is cropped as by ``RandomCrop``.

    Required keys: img, gt_seg_map, sample_idx. Modified: img, gt_seg_map, img_shape.

    Args:
        crop_size: (height, width), or one number for both.
        cat_max_ratio: as in ``RandomCrop``, which may redraw each box for it.
        min_pixels: pixels of c in the cropped image, after any resizing. Released: 3000 × 0.5 at half resolution (the
            default), 3000 × 2 for HRDA.
        tries: maximum number of further boxes.
        ignore_index: as in ``RandomCrop``.
    """

    def __init__(
        self,
        crop_size: int | tuple[int, int],
        cat_max_ratio: float = 1.0,
        min_pixels: float = 1500,
        tries: int = 10,
        ignore_index: int = 255,
    ) -> None:
        size = crop_size if isinstance(crop_size, int) else tuple(crop_size)
        super().__init__(size, cat_max_ratio, ignore_index)
        self.min_pixels = min_pixels
        self.tries = tries

    @cache_randomness
    def crop_bbox(self, results: dict) -> tuple[int, int, int, int]:
        """(top, bottom, left, right)."""
        box = super().crop_bbox(results)
        rare = getattr(results.get('sample_idx'), 'rare_class', None)
        for _ in range(self.tries if rare is not None else 0):
            if (self.crop(results['gt_seg_map'], box) == rare).sum() > self.min_pixels:
                break
            box = super().crop_bbox(results)
        return box
