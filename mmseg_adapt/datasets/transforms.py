"""Strict reading of images and labels: a bad file is reported by name, not skipped or half-decoded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmengine import fileio
from mmseg.registry import TRANSFORMS
from PIL import Image

from ..errors import UserError
from ..files.image import bands_of, check_reading, read_image, readable
from .id_mapped import UNMAPPED

JPEG = b'\xff\xd8\xff'  # how a JPEG file begins
COLOURED = 'see "Labels that are colours" in docs/own_data.md'


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """``LoadImageFromFile`` for any number of bits and bands; it never returns part of a broken file.

    Args:
        value_range, channels: which values of the file become 0 and 255, and which bands to use: see
            :func:`~mmseg_adapt.files.image.read_image`.
        imdecode_backend, color_type: as in ``LoadImageFromFile``; any value but the default uses its decoding.
        **kwargs: see ``LoadImageFromFile``.

    Added, if ``value_range`` or ``channels`` is set: these two keys, so that later steps can compare.

    Raises:
        UserError: If the file is missing or cannot be decoded (the message names it), or as ``read_image``.
    """

    def __init__(
        self,
        value_range: Sequence[float] | None = None,
        channels: Sequence[int] | None = None,
        imdecode_backend: str = 'pillow',
        color_type: str = 'color',
        **kwargs,
    ) -> None:
        super().__init__(imdecode_backend=imdecode_backend, color_type=color_type, **kwargs)
        check_reading(value_range, channels)
        self.reading: dict = dict(value_range=value_range, channels=channels)
        self.stock = (imdecode_backend, color_type) != ('pillow', 'color') or self.file_client_args is not None
        if self.stock and (value_range is not None or channels is not None):
            raise UserError(
                'LoadImage: value_range and channels cannot be combined with imdecode_backend, color_type or '
                'file_client_args: remove either'
            )

    def transform(self, results: dict) -> dict | None:
        path = results['img_path']
        if self.stock:
            with readable(path):
                return super().transform(results)
        try:
            image = read_image(path, **self.reading, backend_args=self.backend_args)
        except UserError:
            if self.ignore_empty:
                return None
            raise
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        results.update({key: tuple(value) for key, value in self.reading.items() if value is not None})
        return results


def read_label(path: str, channel: int | None = None) -> np.ndarray:
    """The ids of a label image, (H, W) uint8; ``channel`` is the one that holds them, in OpenCV's order.

    An image with three equal channels holds ids; a palette PNG holds indices.

    Raises:
        UserError: If the file cannot be read or is a JPEG, its channels differ and no ``channel`` is given, or an id is
            above 255 or is not an integer.
    """
    with readable(path):
        label = _stored(path)
    if label.shape[2] > 1:
        label = _one_channel(label, path, channel)
    label = label.reshape(label.shape[:2])
    if label.dtype != np.uint8:
        if label.max(initial=0) > 255 or label.min(initial=0) < 0:
            raise UserError(f'{path} contains ids up to {label.max()}: ids must be in 0…255')
        if (label != label.astype(np.uint8)).any():
            raise UserError(f'{path} contains fractions such as {label[label % 1 != 0][0]}: ids must be integers')
        label = label.astype(np.uint8)
    return label


def _stored(path: str) -> np.ndarray:
    """The values of a label image, (H, W, channels) in the file's order; for a palette image, the indices."""
    data = fileio.get(path)
    if data[:3] == JPEG:
        raise UserError(
            f'{path} is a JPEG, whose compression changes the ids along every edge: export the labels again as PNG '
            '(see "JPEG" in docs/own_data.md)'
        )
    try:
        with Image.open(path) as image:
            if len(image.getbands()) == 1:
                return np.asarray(image)[..., None]
    except Image.UnidentifiedImageError:  # a TIFF that Pillow cannot read
        pass
    return bands_of(data)[0]


def _one_channel(label: np.ndarray, path: str, channel: int | None) -> np.ndarray:
    """The channel that holds the ids, (H, W)."""
    if channel is not None:
        return label[..., 2 - channel] if label.shape[2] > 2 else label[..., 0]
    ids, further = label[..., 0], label[..., 1:]
    constant = len(label) and (label[..., -1] == label[0, 0, -1]).all()  # the alpha channel is constant
    equal = (further[..., : 2 if label.shape[2] > 2 else 0] == ids[..., None]).all()
    if equal and (label.shape[2] == 3 or (label.shape[2] in (2, 4) and constant)):
        return ids
    raise UserError(
        f'{path} has {label.shape[2]} channels, but a label must have one (or three equal ones) with class ids: export '
        'ids instead of colours, or set label_channel of the data set to the channel that contains the ids '
        f'({COLOURED})'
    )


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """Read a label image (grey, three equal channels, or a palette: the index) and map its ids by the dataset's table.

    Required keys: ori_shape; seg_map_path (without it, for an image without a label, nothing is done); optional:
    label_lut, 256 uint8, and label_channel, the channel that holds the ids (in OpenCV's order). Added: gt_seg_map,
    (H, W) uint8; seg_fields. Works before or after ``CropBox`` and ``Resize``: before them, the label is transformed
    with the image; after them, it keeps its full resolution.

    Raises:
        UserError: If the file cannot be read, its channels differ, its size is not that of the image, or an id is above
            255 or not in the map.
    """

    def transform(self, results: dict) -> dict:
        if 'seg_map_path' not in results:
            return results
        path = results['seg_map_path']
        label = read_label(path, results.get('label_channel'))
        height, width = results.get('full_shape', results['ori_shape'])
        if label.shape != (height, width):
            raise UserError(
                f'{path} is {label.shape[1]}×{label.shape[0]}, but its image {results["img_path"]} is '
                f'{width}×{height}: restore the pair or remove it'
            )
        if results.get('label_map') or results.get('reduce_zero_label'):
            raise UserError(
                f'{path}: LoadLabels does not support label_map or reduce_zero_label: use LoadAnnotations, or id_map '
                'of IdMappedDataset'
            )
        lut = results.get('label_lut')
        if lut is not None:
            mapped = lut[label]
            if (unmapped := mapped == UNMAPPED).any():
                ids = np.unique(label[unmapped]).tolist()
                raise UserError(f'{path} contains the ids {ids}, which are not in id_map: map them, or to 255')
            label = mapped
        if 'crop_box' in results:
            label = _crop(label, results['crop_box'])
        results['gt_seg_map'] = label
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results


@TRANSFORMS.register_module()
class CropBox(BaseTransform):
    """Keep a fixed box of the image (and label), in pixels of the file, for example without a bonnet or black border.

    All later steps, including evaluation, treat the box as the original image.

    Args:
        top, bottom, left, right: keep rows top … bottom − 1 and columns left … right − 1; None is the image's edge.

    Raises:
        UserError: If the box is not inside the image.
    """

    def __init__(self, top: int = 0, bottom: int | None = None, left: int = 0, right: int | None = None) -> None:
        self.box = (top, bottom, left, right)

    def transform(self, results: dict) -> dict:
        height, width = results['ori_shape']
        top, bottom, left, right = self.box
        bottom, right = height if bottom is None else bottom, width if right is None else right
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            raise UserError(
                f'CropBox(top={top}, bottom={bottom}, left={left}, right={right}) exceeds {results["img_path"]}, '
                f'which is {width}×{height}: choose a smaller box'
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
