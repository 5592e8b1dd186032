"""Read two folders of images once: numbers, features of an encoder, Gram matrices, and the gap between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from ..errors import UserError
from ..files.image import read_image
from ..files.listing import images_below
from ..pictures import printable
from ..selection.samples import spread
from ..style.gram import gram_matrix
from .gap import Told, describe, gram_distance, kernel_distance, tell_apart

LEAST = 4  # images: a folder with fewer cannot be judged
Encode = Callable[[np.ndarray], dict[str, torch.Tensor]]  # BGR (H, W, 3) uint8 → layer → maps (1, C, h, w)


@dataclass
class Folder:
    """A set of images, described."""

    name: str
    files: list[Path]
    numbers: dict[str, list[float]] = field(default_factory=dict)
    features: np.ndarray | None = None  # (images, d)
    grams: dict[str, np.ndarray] = field(default_factory=dict)  # layer → mean of G / (h · w)
    shares: dict[str, float] = field(default_factory=dict)  # class → share of the predicted pixels

    def part(self, indices: np.ndarray) -> Folder:
        """The same for some of its images, without what is summed over all of them."""
        numbers = {key: [values[i] for i in indices] for key, values in self.numbers.items()}
        return Folder(self.name, [self.files[i] for i in indices], numbers, self.features[indices])


@dataclass(frozen=True)
class Gap:
    """The gap between two folders."""

    source: Folder
    target: Folder
    told: Told
    kid: tuple[float, float]
    grams: dict[str, float]

    def nearest(self, count: int = 4) -> list[Path]:
        """The target images most similar to the source."""
        return [self.target.files[i] for i in np.argsort(self.told.scores[1])[:count]]

    def farthest(self, count: int = 4) -> list[Path]:
        """The target images least similar to the source."""
        return [self.target.files[i] for i in np.argsort(self.told.scores[1])[::-1][:count]]


def gap_between(source: str, target: str, images: int = 300, encode: Encode | None = None) -> Gap:
    """The gap between the images in two folders. If both are the same folder: between its halves (:func:`halves`).

    Args:
        images: number of images per folder, evenly spaced.
        encode: features of a network, in addition to those of :func:`~mmseg_adapt.report.gap.describe`.

    Raises:
        UserError: a folder is missing or has fewer than :data:`LEAST` images, or an image cannot be read.
    """
    files = [files_in(folder) for folder in (source, target)]
    if Path(source).resolve() == Path(target).resolve():
        return halves(described(source, [files[0][i] for i in spread(len(files[0]), 2 * images)], encode))
    first, second = (
        described(name, [own[i] for i in spread(len(own), images)], encode)
        for name, own in zip((source, target), files)
    )
    grams = {layer: gram_distance(first.grams[layer], second.grams[layer]) for layer in first.grams}
    told, kid = tell_apart(first.features, second.features), kernel_distance(first.features, second.features)
    return Gap(first, second, told, kid, grams)


def halves(whole: Folder, draws: int = 10) -> Gap:
    """The gap between two random halves of one folder, that is, chance.

    The numbers are means over ``draws``: frames of a video resemble their neighbours, so a single draw may be told
    apart by luck.
    """
    found = []
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(len(whole.files))
        a, b = (whole.part(np.sort(half)) for half in (order[::2], order[1::2]))
        found.append((a, b, tell_apart(a.features, b.features), kernel_distance(a.features, b.features)))
    a, b, told, _ = found[0]
    error = float(np.mean([told.error for *_, told, _ in found]))
    return Gap(a, b, replace(told, error=error), tuple(np.mean([kid for *_, kid in found], axis=0).tolist()), {})


def files_in(folder: str) -> list[Path]:
    if not Path(folder).is_dir():
        raise UserError(f'{folder} does not exist: pass a folder of images')
    files = sorted(Path(folder, name) for name in images_below(folder))
    if len(files) < LEAST:
        raise UserError(f'{folder} contains {len(files)} images: pass a folder with at least {LEAST}')
    return files


def described(name: str, files: Sequence[Path], encode: Encode | None = None) -> Folder:
    """Read every image once."""
    found, rows, grams = Folder(str(name), list(files)), [], {}
    for file in files:
        image = picture(file)
        numbers, features = describe(image)
        for key, value in numbers.items():
            found.numbers.setdefault(key, []).append(value)
        if encode is not None:
            pooled = [features]
            for layer, maps in encode(image).items():
                flat = maps[0].flatten(1)
                pooled += [flat.mean(1).numpy(), flat.std(1).numpy()]
                grams[layer] = grams.get(layer, 0) + gram_matrix(maps)[0].numpy() / flat.shape[1] / len(files)
            features = np.concatenate(pooled)
        rows.append(features)
    found.features, found.grams = np.stack(rows), grams
    if hasattr(encode, 'classes') and hasattr(encode, 'shares'):
        found.shares = dict(zip(encode.classes, encode.shares().tolist()))
    return found


def picture(file: Path) -> np.ndarray:
    """(H, W, 3) uint8, BGR."""
    return printable(read_image(str(file)))
