"""Give images the colours of the other domain, on the fly: no store, no GPU, no AAN."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from torch import Tensor

from ..errors import UserError
from ..pictures import repainted, visible
from .colour import colour_count, colour_gram, colour_gram_of, recoloured
from .gram import Style
from .reading import check_reading, images_in, loaded, loader
from .store import STYLE, RenderStore


@TRANSFORMS.register_module()
class ColourTransfer(BaseTransform):
    """Map the mean and covariance of an image's colours to those of a pool of images (:mod:`~.colour`).

    In a source pipeline the pool is the target. In a test pipeline it is the source, with ``prob=1``. Place the
    transform before any random crop, so that it sees the colours of the whole image and not of a piece of sky.

    Required keys: img. Modified: img; labels do not change. A uint8 image stays uint8: the values are rounded to the
    nearest integer, halves to even, and clipped to 0–255. Other types are clipped but not rounded. If an image has more
    than three bands, only the first three change. If a grey image is read as one band, that band changes.

    Args:
        target: a folder of images, or a style with the layer ``'colour'``: a file, or a store that contains it.
        prob: share of the images that are changed. Each image first draws one NumPy random number.
        read: transforms that read the images of a folder, as in ``aan.style``.
        count: number of images to read from a folder, evenly spaced. Every image has the same weight, at any size.

    Raises:
        UserError: the folder or file does not exist; the style has no colours; the pool is grey (such as a folder of
            labels) and an image is not; images are read with other values or bands than the pool.
    """

    def __init__(
        self, target: str, prob: float = 1.0, read: Sequence[dict] = (dict(type='LoadImage'),), count: int = 500
    ) -> None:
        if not 0 <= prob <= 1:
            raise UserError(f'ColourTransfer.prob = {prob} must be between 0 and 1')
        if count < 1:
            raise UserError(f'ColourTransfer.count = {count} must be at least 1')
        self.target = target
        self.prob = prob
        self.reading: dict | None = None  # how the pool was read; not known for a style
        self.colours = self._of_folder(read, count) if self._is_folder() else self._of_style()
        self.dimensions = int(colour_count(self.colours))

    def _is_folder(self) -> bool:
        return not Path(self.target).is_file() and not RenderStore(self.target).exists

    def _of_style(self) -> Tensor:
        path = Path(self.target)
        style = Style.load(path) if path.is_file() else RenderStore(path).style()
        return colour_gram_of(style, f'ColourTransfer.target = {path if path.is_file() else path / STYLE}')

    def _of_folder(self, read: Sequence[dict], count: int) -> Tensor:
        files = list(images_in(Path(self.target), 'ColourTransfer.target').values())
        chosen = [files[i * len(files) // count] for i in range(count)] if count < len(files) else files
        steps, total = loader(read, 'ColourTransfer.read'), torch.zeros(4, 4, dtype=torch.double)
        for file in chosen:
            image, results = loaded(steps, file)
            self.reading = self.reading or results
            total += colour_gram(image)[0]
        return total / len(chosen)

    def transform(self, results: dict) -> dict:
        if np.random.rand() >= self.prob:
            return results
        if self.reading is not None:
            check_reading(
                results,
                self.reading,
                f'the images in {self.target} were read',
                'set ColourTransfer.read to the same LoadImage',
            )
        image = results['img']
        pixels = torch.from_numpy(np.ascontiguousarray(visible(image).transpose(2, 0, 1)))[None].float()
        if self.dimensions < 2 and colour_count(colour_gram(pixels)) > self.dimensions:
            raise UserError(
                f'the images of {self.target} are grey (or one colour), but {results.get("img_path", "the image")} '
                'is not and would lose its colours: set ColourTransfer.target to colour images, not labels'
            )
        seen = recoloured(pixels, self.colours)[0].clamp(0, 255)
        seen = seen.round() if image.dtype == np.uint8 else seen
        results['img'] = repainted(image, np.ascontiguousarray(seen.permute(1, 2, 0).numpy()))
        return results
