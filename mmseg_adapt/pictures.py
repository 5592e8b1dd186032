"""Label maps for the eye."""

from __future__ import annotations

import numpy as np

IGNORED = (255, 255, 255)


def colour_map(label: np.ndarray, palette: list) -> np.ndarray:
    """(H, W) class indices → (H, W, 3) RGB uint8; indices beyond the palette, such as 255, are white."""
    table = np.full((256, 3), IGNORED, np.uint8)
    table[: len(palette)] = palette
    return table[label]
