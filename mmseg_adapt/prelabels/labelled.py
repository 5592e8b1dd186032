"""Code shared by the formats: one record per predicted image, and which classes become annotations."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Labelled:
    """A predicted image. The size is that of its label map and of the image."""

    name: str  # the labels are in labels/NAME.png
    file: str  # name of the image in its folder, with its ending
    height: int
    width: int
    confidence: float  # mean probability of the predicted class over the pixels
    entropy: float  # mean
    by_class: dict[int, float]  # predicted class → mean confidence where it is predicted

    @classmethod
    def of(cls, name: str, file: str, labels: np.ndarray, confidence: np.ndarray, entropy: np.ndarray) -> Labelled:
        """``labels`` (H, W) uint8; ``confidence`` and ``entropy`` (H, W), 0 to 1."""
        pixels = np.bincount(labels.ravel())
        sums = np.bincount(labels.ravel(), weights=confidence.ravel())
        by_class = {int(i): float(sums[i] / pixels[i]) for i in np.flatnonzero(pixels)}
        height, width = labels.shape
        return cls(name, file, height, width, float(confidence.mean()), float(entropy.mean()), by_class)

    def labels(self, out: Path) -> np.ndarray:
        """The label map written in ``out``: (H, W) uint8."""
        with Image.open(out / 'labels' / f'{self.name}.png') as image:
            return np.asarray(image)

    def present(self, classes: list[str]) -> list[int]:
        """The classes that occur, without ``background``."""
        return [i for i in self.by_class if not is_background(classes[i])]


def is_background(name: str) -> bool:
    return name.strip().lower() == 'background'


def write_confidence(images: Iterable[Labelled], file: Path) -> None:
    """Write a table of the images, in the given order."""
    with file.open('w', newline='', encoding='utf-8') as stream:
        writer = csv.writer(stream)
        writer.writerow(('name', 'confidence', 'entropy'))
        writer.writerows((image.name, f'{image.confidence:.4f}', f'{image.entropy:.4f}') for image in images)


def dump_rows(rows: Iterator[dict], stream: TextIO) -> None:
    """Write a JSON list of many rows, one row at a time."""
    stream.write('[')
    for i, row in enumerate(rows):
        stream.write((',\n' if i else '\n') + json.dumps(row, ensure_ascii=False))
    stream.write('\n]')


def runs(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and lengths of the runs in a flat, non-empty array."""
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    return flat[starts], np.diff(starts, append=len(flat))
