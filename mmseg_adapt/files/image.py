"""Read image files with any number of bits and bands as network input: numbers from 0 to 255.

The convention is the same for all files, so that mean and std keep their meaning: ``value_range`` is mapped to 0…255.
An 8-bit image with one or three bands stays uint8. Everything else becomes float32, without loss of precision.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import mmcv
import numpy as np
from mmengine import fileio
from mmengine.logging import print_log
from PIL import Image, ImageOps

from ..errors import UserError
from .tiff import Tiff, is_tiff

PNG = b'\x89PNG\r\n\x1a\n'
COLOUR_TYPES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type of a PNG → bands
_said: set[str] = set()


@contextmanager
def any_size() -> Iterator[None]:
    """Let Pillow read images of more than 178 million pixels. It treats them as an attack, but they are the user's."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Raises: UserError: If the block raises any error (image libraries raise almost all); it names the file."""
    try:
        with any_size():
            yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f'{path} cannot be read ({error}): restore the file or remove it') from error


def check_reading(value_range: Sequence[float] | None, channels: Sequence[int] | None) -> None:
    """Raises: UserError: the range is not two increasing numbers, or channels are not indices of bands."""
    if value_range is not None:
        pair = list(value_range)
        numbers = len(pair) == 2 and all(isinstance(v, (int, float)) and math.isfinite(v) for v in pair)
        if not numbers or not pair[0] < pair[1]:
            raise UserError(f'value_range = {value_range!r}: write the lowest and the highest value, as in (0, 4095)')
    if channels is not None and (not channels or any(not isinstance(i, int) or i < 0 for i in channels)):
        raise UserError(f'channels = {channels!r}: write the positions of bands in the file, as in (0, 1, 2, 3)')


def read_image(
    path: str,
    value_range: Sequence[float] | None = None,
    channels: Sequence[int] | None = None,
    backend_args: dict | None = None,
) -> np.ndarray:
    """Read a file as network input.

    Args:
        path: the file.
        value_range: values of the file that become 0 and 255; values outside are clipped. Default: the range of the
            file's type, 0…65535 for 16 bits. Floating point files have no default, so pass a range.
        channels: indices of the bands to use, from 0 in the file's order. Default: all three, or one band three times.
        backend_args: arguments of mmengine's file client.

    Returns:
        (H, W, C): uint8 for 8 bits and three bands without a range, otherwise float32 0…255. Three bands are BGR, as
        everywhere in OpenMMLab. Any other number of bands keeps the order of ``channels``.

    Raises:
        UserError: If the file cannot be read, contains floating point numbers and no range is given, has a type that
            cannot represent the range, or would silently lose bands or transparency.
    """
    with readable(path):
        data = fileio.get(path, backend_args=backend_args)
        if value_range is None and channels is None and is_plain(data):
            return mmcv.imfrombytes(data, flag='color', backend='pillow')
        return scaled(*bands_of(data), path, value_range, channels)


def is_plain(data: bytes) -> bool:
    """Whether Pillow reads the complete file as 8 bits with one or three bands."""
    if data.startswith(PNG):
        return data[24] <= 8 and data[25] in (0, 2, 3)
    if is_tiff(data):
        return Tiff.parse(data).plain
    with Image.open(io.BytesIO(data)) as image:
        return 'A' not in image.getbands() and image.mode not in ('I', 'F', 'I;16', 'I;16B') and not _is_deep_pnm(data)


def _is_deep_pnm(data: bytes) -> bool:
    return data[:2] in (b'P5', b'P6') and _decoded(data).dtype != np.uint8


def bands_of(data: bytes) -> tuple[np.ndarray, bool]:
    """All bands of a file, (H, W, C) as stored, and whether the last one is transparency.

    Raises:
        ValueError: the file is damaged or has an unknown format.
    """
    if is_tiff(data):
        tiff = Tiff.parse(data)
        return tiff.read(), tiff.alpha
    if data.startswith(PNG) and data[24] == 16:
        count = COLOUR_TYPES[data[25]]
        image = _decoded(data)
        image = image.reshape(*image.shape[:2], -1)
        order = {1: [0], 2: [0, -1], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[count]
        return image[..., order], count in (2, 4)
    if data[:2] in (b'P5', b'P6'):
        image = _decoded(data)
        return (image[..., None] if image.ndim == 2 else image[..., ::-1]), False
    with Image.open(io.BytesIO(data)) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode not in ('L', 'LA', 'RGB', 'RGBA', 'I', 'F', 'I;16', 'I;16B'):
            image = image.convert('RGBA' if 'A' in image.getbands() else 'RGB')
        array = np.asarray(image)
        return array.reshape(*array.shape[:2], -1), 'A' in image.getbands()


def _decoded(data: bytes) -> np.ndarray:
    if (image := cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)) is None:
        raise ValueError('not a complete image')
    return image


def scaled(
    bands: np.ndarray,
    alpha: bool,
    name: str,
    value_range: Sequence[float] | None = None,
    channels: Sequence[int] | None = None,
) -> np.ndarray:
    """:func:`read_image` for the bands of a file, or for an array called ``name``: (H, W, C) or (H, W).

    Raises: see :func:`read_image`.
    """
    bands = bands if bands.ndim == 3 else bands[..., None]
    chosen = _chosen(bands, alpha, name, channels)
    if chosen.dtype == np.uint8 and value_range is None and chosen.shape[2] == 3:
        return np.ascontiguousarray(chosen)
    low, high = _range_of(chosen, name, value_range)
    exact = np.float32 if chosen.dtype.itemsize <= 2 or chosen.dtype == np.float32 else np.float64
    image = (chosen.astype(exact) - exact(low)) * exact(255 / (high - low))
    if not np.isfinite(image).all():
        raise UserError(f'{name} contains NaN or infinite values: replace them before training')
    if image.min(initial=0) < -1e-3 or image.max(initial=0) > 255.001:
        _say(
            'beyond',
            f'{name} contains the values {chosen.min():g}…{chosen.max():g}; values outside of {low:g}…{high:g} are '
            'clipped (also in other images): change this with value_range of LoadImage',
        )
    return np.ascontiguousarray(image.clip(0, 255), np.float32)


def _chosen(bands: np.ndarray, alpha: bool, name: str, channels: Sequence[int] | None) -> np.ndarray:
    """The bands to use; three bands are in BGR order."""
    count = bands.shape[2]
    if channels is None:
        if alpha and count in (2, 4) and opaque(bands):
            count -= 1
        elif count not in (1, 3):
            last = 'the last one is a transparent alpha channel' if alpha else 'a network with three would lose some'
            raise UserError(
                f'{name} has {count} bands ({last}): list those to use in channels of LoadImage, either three of them '
                f'or e.g. channels={tuple(range(count))} with in_channels={count} of the backbone'
            )
        channels = (0, 0, 0) if count == 1 else (0, 1, 2)
    elif max(channels) >= count:
        raise UserError(
            f'{name} has {count} bands, but channels={tuple(channels)} has band {max(channels)}: count from 0'
        )
    return bands[..., list(channels)[::-1] if len(channels) == 3 else list(channels)]


def opaque(bands: np.ndarray) -> bool:
    """Whether the last band, transparency, is opaque everywhere."""
    return bool((bands[..., -1] == (np.iinfo(bands.dtype).max if bands.dtype.kind in 'ui' else 1)).all())


def _range_of(bands: np.ndarray, name: str, value_range: Sequence[float] | None) -> tuple[float, ...]:
    """The values that become 0 and 255."""
    if bands.dtype.kind == 'b':
        return 0, 1
    if bands.dtype.kind not in 'ui':
        if value_range is None:
            raise UserError(
                f'{name} contains floating point numbers, {np.nanmin(bands):g}…{np.nanmax(bands):g}: set the values of '
                'black and white in value_range of LoadImage, as in (0.0, 1.0)'
            )
        return tuple(value_range)
    limits = np.iinfo(bands.dtype)
    if value_range is None:
        if limits.max > 255:
            _say(
                'default',
                f'{name} has {limits.bits} bits: {limits.min}…{limits.max} is mapped to 0…255 (also in other images); '
                'change this with value_range of LoadImage',
            )
        return limits.min, limits.max
    if value_range[0] < limits.min or value_range[1] > limits.max:
        raise UserError(
            f'{name} has {limits.bits} bits, values {limits.min}…{limits.max}, which do not fit '
            f'value_range={tuple(value_range)}: put each kind of file in its own data set'
        )
    return tuple(value_range)


def _say(kind: str, message: str) -> None:
    """Warn once per process and kind: a folder may have thousands of such images."""
    if kind not in _said:
        _said.add(kind)
        print_log(message, 'current')
