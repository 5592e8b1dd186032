"""Orders of a stream: the image at a position is a function of (seed, position), so a resume costs nothing.

``DomainPairSampler(orders=dict(source=dict(type='RareClassOrder', temperature=0.01)))`` and
``OrderSampler(order=…)`` name them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.logging import print_log
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import Dataset

from ..errors import UserError
from ..random_state import derived_seed
from .class_statistics import class_pixels
from .streams import SOURCE, is_labelled, stream_number


class Order:
    """``order(seed, position)`` is the index of an image. Subclasses draw indices in :meth:`stretch`.

    Args:
        dataset: the stream's data set.
        stream: the stream's name; streams with different names use different random numbers.

    Attributes:
        length: number of positions drawn at a time. Only one stretch is kept in memory.
    """

    def __init__(self, dataset: Dataset, stream: str = SOURCE) -> None:
        self.length = len(dataset)
        self.stream = stream
        self._kept: tuple = (None, ())

    def __call__(self, seed: int, position: int) -> int:
        number, offset = divmod(position, self.length)
        if self._kept[0] != (seed, number):
            self._kept = (seed, number), self.stretch(derived_seed(seed, stream_number(self.stream), number))
        return self._kept[1][offset]

    def stretch(self, seed: int) -> Sequence[int]:
        """Draw ``length`` indices."""
        raise NotImplementedError


@DATA_SAMPLERS.register_module()
class ShuffledOrder(Order):
    """Pass after pass; each pass contains each image once, in a new random order."""

    def stretch(self, seed: int) -> Sequence[int]:
        return torch.randperm(self.length, generator=torch.Generator().manual_seed(seed)).tolist()


@DATA_SAMPLERS.register_module()
class SequentialOrder(Order):
    """The order of the files, repeated."""

    def stretch(self, seed: int) -> Sequence[int]:
        return range(self.length)


class RareIndex(int):
    """The index of an image that was drawn for ``rare_class``.

    ``ConcatDataset`` and ``RepeatDataset`` compute with it (index − offset, index % length). mmengine's data sets pass
    it to their pipeline as ``results['sample_idx']``, and with it the class.
    """

    rare_class: int

    def __new__(cls, index: int, rare_class: int) -> RareIndex:
        self = super().__new__(cls, index)
        self.rare_class = rare_class
        return self

    def __sub__(self, offset: int) -> RareIndex:
        return RareIndex(int(self) - offset, self.rare_class)

    def __mod__(self, length: int) -> RareIndex:
        return RareIndex(int(self) % length, self.rare_class)

    def __reduce__(self) -> tuple:
        return RareIndex, (int(self), self.rare_class)


@DATA_SAMPLERS.register_module()
class RareClassOrder(Order):
    """Rare class sampling (Hoyer et al., "DAFormer", CVPR 2022, Eq. 9): a class c ~ P(c), then an image that shows it.

    P(c) = softmax((1 − f_c) / T) over the classes that occur, in float32 as released; f_c is the share of c in all
    labelled pixels. The image is drawn uniformly from those with more than ``min_pixels`` of c; this minimum is in the
    released code but not in the paper. ``RareClassCrop`` then looks for c when it crops. Images are drawn with
    replacement, so there are no passes.

    Args:
        dataset, stream: as for :class:`Order`; the stream must have labels.
        temperature: T; smaller values draw rare classes more often.
        min_pixels: an image must have more pixels of c than this, in its label file, before any resizing.
        classes: names of the classes to draw, by default all that occur.
        statistics: folder in which the counts are saved, or which contains the released code's
            ``sample_class_stats.json``; see :func:`~mmseg_adapt.datasets.class_statistics.class_pixels`.

    Raises:
        UserError: If the stream has no labels, a class is unknown, a class in ``classes`` never occurs or has no image
            with more than ``min_pixels``, the temperature is not positive, or the statistics are of another data set.
    """

    BLOCK = 1024

    def __init__(
        self,
        dataset: Dataset,
        stream: str = SOURCE,
        temperature: float = 0.01,
        min_pixels: int = 3000,
        classes: Sequence[str] | None = None,
        statistics: str | None = None,
    ) -> None:
        super().__init__(dataset, stream)
        self.length = self.BLOCK
        if not is_labelled(stream):
            raise UserError(f'sampler.orders.{stream}: remove RareClassOrder, because the {stream} has no labels')
        if temperature <= 0:
            raise UserError(f'RareClassOrder.temperature = {temperature} must be above 0')
        names = list(dataset.metainfo['classes'])
        chosen = self._chosen(names, classes)
        pixels = class_pixels(dataset, statistics)  # (images, classes)
        self.classes = self._occurring(names, chosen, pixels.sum(0), explicit=classes is not None)
        self.probabilities = class_probabilities(pixels.sum(0)[self.classes], temperature)
        self.images = [np.flatnonzero(pixels[:, c] > min_pixels) for c in self.classes]
        for c, images in zip(self.classes, self.images):
            if not len(images):
                raise UserError(
                    f'RareClassOrder: no image has more than min_pixels = {min_pixels} pixels of {names[c]} (maximum: '
                    f'{pixels[:, c].max()}): lower min_pixels, or remove the class from classes'
                )

    @staticmethod
    def _chosen(names: list[str], classes: Sequence[str] | None) -> list[int]:
        if unknown := [name for name in classes or () if name not in names]:
            raise UserError(f'RareClassOrder.classes has {unknown[0]!r}: it must be one of {", ".join(names)}')
        return [names.index(name) for name in (names if classes is None else classes)]

    @staticmethod
    def _occurring(names: list[str], chosen: list[int], total: np.ndarray, explicit: bool) -> list[int]:
        """The classes that have a pixel, rarest first as in the released code."""
        if absent := [names[c] for c in chosen if not total[c]]:
            if explicit or len(absent) == len(chosen):
                raise UserError(f'RareClassOrder: no label contains {", ".join(absent)}: remove it from classes')
            print_log(f'RareClassOrder never draws {", ".join(absent)}, because no label contains it', 'current')
        return sorted((c for c in chosen if total[c]), key=lambda c: total[c])

    def draw(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw a stretch: the images and their classes, ``length`` int64 each."""
        rng = np.random.default_rng(seed)
        p = self.probabilities.astype(np.float64)
        drawn = rng.choice(len(self.classes), size=self.length, p=p / p.sum())
        counts = np.array([len(images) for images in self.images])
        places = counts.cumsum() - counts  # index of each class's first image
        places = places[drawn] + (rng.random(self.length) * counts[drawn]).astype(np.int64)
        return np.concatenate(self.images)[places], np.array(self.classes)[drawn]

    def stretch(self, seed: int) -> Sequence[int]:
        return [RareIndex(image, rare) for image, rare in zip(*(part.tolist() for part in self.draw(seed)))]


def class_probabilities(pixels: np.ndarray, temperature: float) -> np.ndarray:
    """P(c), (classes,) float32 as in the released code, from the pixels of each class."""
    pixels = torch.as_tensor(pixels)
    return torch.softmax((1 - pixels / pixels.sum()) / temperature, dim=-1).numpy()
