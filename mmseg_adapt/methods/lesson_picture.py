"""A picture of what a student learns: images, pseudo-labels, the teacher's confidence, and every lesson."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from ..pictures import colour_map, visible
from .mixing import most_probable
from .self_training import Domain, Lesson, SelfTraining

PALE = 0.7  # how pale a label of weight 0 is
CAPTION = 16  # pixels
Cell = tuple[str, np.ndarray]  # a caption and (H, W, 3) RGB


@torch.no_grad()
def lesson_picture(
    model: SelfTraining, source: Domain, target: Domain, lessons: list[Lesson], palette: list, images: int = 2
) -> np.ndarray:
    """One row per image: source, its labels, target, pseudo-labels, confidence, and images and labels of each lesson.

    Labels with less weight are paler. Confidence runs from dark (0) to bright (1). It is computed again, in float32,
    and the model does not change.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    with buffers_kept(model.teacher):
        _, confidence = most_probable(model.teacher_logits(target.images[:images]))
    rows = [
        [
            *_pair('source', 'labels', model, Lesson('', *source[:2], torch.ones_like(source.labels)), i, palette),
            *_pair('target', 'pseudo-labels', model, Lesson('', *target), i, palette),
            (_confident(confidence[i], model.pseudo_threshold), _heat(confidence[i])),
            *(cell for lesson in lessons for cell in _pair(lesson.name, 'its labels', model, lesson, i, palette)),
        ]
        for i in range(len(confidence))
    ]
    return grid(rows)


@contextmanager
def buffers_kept(module: nn.Module) -> Iterator[None]:
    """Let BN normalise by the batch, then restore its running statistics."""
    kept = [buffer.clone() for buffer in module.buffers()]
    try:
        yield
    finally:
        for buffer, value in zip(module.buffers(), kept):
            buffer.copy_(value)


def _pair(name: str, of: str, model: SelfTraining, lesson: Lesson, i: int, palette: list) -> Iterator[Cell]:
    """Image i of a batch and its labels; nothing if the batch has fewer images."""
    if i < len(lesson.images):
        yield name, _colours(model, lesson.images[i])
        labels = colour_map(lesson.labels[i].cpu().numpy(), palette)
        pale = PALE * (1 - lesson.weight[i].float().clamp(0, 1).cpu().numpy())[..., None]
        yield of, (labels + pale * (255.0 - labels)).round().astype(np.uint8)


def _colours(model: SelfTraining, image: Tensor) -> np.ndarray:
    """A normalised image (3, H, W) as an RGB picture."""
    preprocessor = model.data_preprocessor
    image = (image * preprocessor.std + preprocessor.mean).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    names = ('channel_conversion', '_channel_conversion')  # upstream's name, the fork's
    is_rgb = image.shape[2] == 3 and any(getattr(preprocessor, name, False) for name in names)
    return visible(image[..., ::-1] if is_rgb else image)[..., ::-1]


def _confident(confidence: Tensor, threshold: float) -> str:
    return f'{100 * (confidence >= threshold).float().mean():.0f} % >= {threshold:g}'


def _heat(confidence: Tensor) -> np.ndarray:
    grey = (255 * confidence).round().byte().cpu().numpy()
    return cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)[..., ::-1]


def grid(rows: list[list[Cell]], gap: int = 4) -> np.ndarray:
    """Arrange cells in rows, each as large as the largest, with its caption above it."""
    height, width = (max(cell.shape[axis] for row in rows for _, cell in row) for axis in (0, 1))
    step = height + CAPTION + gap, width + gap
    sheet = np.full((len(rows) * step[0], max(map(len, rows)) * step[1], 3), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, (caption, cell) in enumerate(row):
            top, left = y * step[0], x * step[1]
            place = (left + 2, top + CAPTION - 4)
            cv2.putText(sheet, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
            sheet[top + CAPTION : top + CAPTION + cell.shape[0], left : left + cell.shape[1]] = cell
    return sheet
