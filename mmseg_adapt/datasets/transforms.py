"""Reading images and labels strictly: a bad file is named, not skipped or half-decoded."""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmseg.registry import TRANSFORMS
from PIL import Image

from ..errors import UserError
from .id_mapped import UNMAPPED


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """``LoadImageFromFile`` through Pillow, which refuses a truncated file where OpenCV returns a part of it.

    Raises:
        UserError: a file that is missing or cannot be decoded, by name.
    """

    def __init__(self, imdecode_backend: str = 'pillow', **kwargs) -> None:
        super().__init__(imdecode_backend=imdecode_backend, **kwargs)

    def transform(self, results: dict) -> dict:
        try:
            return super().transform(results)
        except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError and struct.error
            raise UserError(f'{results["img_path"]} cannot be read ({error}): restore the file or remove it') from error


def read_label(path: str, channel: int | None = None) -> np.ndarray:
    """The ids of a label image, (H, W) uint8; ``channel``: which of several holds them, in OpenCV's order.

    Raises:
        UserError: a file that cannot be read, that has several channels and no ``channel`` is named, or ids above 255.
    """
    try:
        if channel is None:
            with Image.open(path) as image:
                label = np.asarray(image)
        else:  # Pillow reads PNGs of 16 bits and several channels as 8 bits
            if (label := cv2.imread(path, cv2.IMREAD_UNCHANGED)) is None:
                raise OSError('no image, or not a whole one')
            label = label if label.ndim == 2 else label[..., channel]
    except Exception as error:
        raise UserError(f'{path} cannot be read ({error}): restore the file or remove it') from error
    if label.ndim != 2:
        raise UserError(
            f'{path} has {label.shape[2]} channels: a label image has one, the class id of each pixel; export ids '
            'instead of colours, or name the channel that holds the ids in label_channel of the data set'
        )
    if label.dtype != np.uint8:
        if label.max(initial=0) > 255 or label.min(initial=0) < 0:
            raise UserError(f'{path} holds ids up to {label.max()}: ids must lie in 0…255')
        label = label.astype(np.uint8)
    return label


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """Read a label image of one channel (grey or palette PNG: the index) and map its ids by the dataset's table.

    Required keys: ori_shape; seg_map_path, without which (an image that has no label) nothing is done; optional
    label_lut, 256 uint8, and label_channel, which of several holds the ids (in OpenCV's order). Added: gt_seg_map,
    (H, W) uint8; seg_fields. Works before or after ``CropBox`` and ``Resize``: before them, the label is transformed
    with the image, after them it keeps its full resolution.

    Raises:
        UserError: a file that cannot be read, has several channels or ids above 255, is of another size than its image,
            or holds an id that the map does not name.
    """

    def transform(self, results: dict) -> dict:
        if 'seg_map_path' not in results:
            return results
        path = results['seg_map_path']
        label = read_label(path, results.get('label_channel'))
        height, width = results.get('full_shape', results['ori_shape'])
        if label.shape != (height, width):
            raise UserError(
                f'{path} is {label.shape[1]}×{label.shape[0]}, its image {results["img_path"]} is {width}×{height}: '
                'restore the pair or remove it'
            )
        if results.get('label_map') or results.get('reduce_zero_label'):
            raise UserError(
                f'{path}: LoadLabels knows no label_map or reduce_zero_label; use LoadAnnotations, or id_map of '
                'IdMappedDataset'
            )
        lut = results.get('label_lut')
        if lut is not None:
            mapped = lut[label]
            if (unmapped := mapped == UNMAPPED).any():
                ids = np.unique(label[unmapped]).tolist()
                raise UserError(f'{path} holds the label ids {ids}, which id_map does not name: map them or to 255')
            label = mapped
        if 'crop_box' in results:
            label = _crop(label, results['crop_box'])
        results['gt_seg_map'] = label
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results


@TRANSFORMS.register_module()
class CropBox(BaseTransform):
    """Keep a fixed box of the image (and label), in pixels of the file: a bonnet or black border cut off for good.

    The box becomes the original image for all that follows, evaluation included.

    Args:
        top, bottom, left, right: rows top … bottom − 1 and columns left … right − 1 are kept; None is the image's edge.

    Raises:
        UserError: a box that does not lie in the image.
    """

    def __init__(self, top: int = 0, bottom: int | None = None, left: int = 0, right: int | None = None) -> None:
        self.box = (top, bottom, left, right)

    def transform(self, results: dict) -> dict:
        height, width = results['ori_shape']
        top, bottom, left, right = self.box
        bottom, right = height if bottom is None else bottom, width if right is None else right
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            raise UserError(
                f'CropBox(top={top}, bottom={bottom}, left={left}, right={right}) does not lie in '
                f'{results["img_path"]}, {width}×{height}'
            )
        results['crop_box'] = (top, bottom, left, right)
        results['full_shape'] = (height, width)
        results['img'] = _crop(results['img'], results['crop_box'])
        for field in results.get('seg_fields', ()):
            results[field] = _crop(results[field], results['crop_box'])
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return results


def _crop(array: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    top, bottom, left, right = box
    return np.ascontiguousarray(array[top:bottom, left:right])
