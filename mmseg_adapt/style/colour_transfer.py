"""Images in the colours of the other domain, on the fly: no store, no GPU, no AAN."""

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
    """Take the mean and covariance of an image's colours to those of a pool of images (:mod:`~.colour`).

    In a source pipeline the pool is the target; in a test pipeline the source, with ``prob=1``. Put it before any
    random crop: the colours are those of the whole image then, not of a piece of sky.

    Required keys: img. Modified: img; labels stay. A uint8 image stays uint8: the values are rounded to the nearest
    integer, halves to the even one, and cut off at 0 and 255. Any other type is cut off there and not rounded. Of an
    image of more than three bands the first three change; of a grey one that is read as one band, that band.

    Args:
        target: a folder of images, or a style with the layer ``'colour'``: a file, or the store that holds it.
        prob: share of the images that are changed; every image draws one number of NumPy's, first of all.
        read: how the images of a folder are read: transforms, as in ``aan.style``.
        count: how many images of a folder are read, at equal distances; every one counts alike, whatever its size.

    Raises:
        UserError: no such folder or file; a style without colours; a pool that is grey, as a folder of labels is, and
            an image that is not; images that are read with other values or bands than the pool's.
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
        self.reading: dict | None = None  # how the pool was read; a style does not say
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
