"""Label maps as pictures, and visible pictures of images with any number of bands."""

from __future__ import annotations

import numpy as np

IGNORED = (255, 255, 255)


def colour_map(label: np.ndarray, palette: list) -> np.ndarray:
    """(H, W) class indices → (H, W, 3) RGB uint8; indices beyond the palette, such as 255, are white."""
    table = np.full((256, 3), IGNORED, np.uint8)
    table[: len(palette)] = palette
    return table[label]


def visible(image: np.ndarray) -> np.ndarray:
    """(H, W, C) as ``LoadImage`` returns it → (H, W, 3) BGR of the same type: one band three times, or the first three.

    Three bands are already BGR. More bands keep the file's order, red first.
    """
    count = image.shape[2]
    return image if count == 3 else image[..., [0, 0, 0] if count < 3 else [2, 1, 0]]


def repainted(image: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """``image`` with the BGR picture ``seen`` in the bands that :func:`visible` shows; other bands do not change."""
    count = image.shape[2]
    seen = seen.astype(image.dtype)
    if count == 3:
        return seen
    if count < 3:
        return np.concatenate([seen.mean(axis=2, keepdims=True).astype(image.dtype), image[..., 1:]], axis=2)
    return np.concatenate([seen[..., ::-1], image[..., 3:]], axis=2)


def printable(image: np.ndarray) -> np.ndarray:
    """What :func:`visible` shows, rounded to uint8."""
    seen = visible(image)
    return seen if seen.dtype == np.uint8 else seen.round().clip(0, 255).astype(np.uint8)
