"""Operations of self-training on images and labels: ClassMix, hidden blocks, pseudo-labels and their weights.

All are pure functions. ``draw_…`` functions draw parameters from a ``torch.Generator``; the others compute tensors
from tensors and parameters, on their device and without waiting for it.

Where the released code (DACS, DAFormer, MIC) differs from its paper or goes beyond it, the default follows the release
and an option follows the paper.

Shapes: images (N, 3, H, W), labels (N, H, W) int64 in 0 … 255, where 255 is "ignore".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..errors import UserError

_VALUES = 256  # number of possible label values


def draw_classes(labels: Tensor, generator: Generator, of: str = 'batch') -> Tensor:
    """ClassMix (Olsson et al., WACV 2021): draw the classes that each image keeps, half of them rounded up.

    Args:
        labels: the source's.
        of: 'batch' draws half of the distinct values of the *whole batch*, including "ignore", as DAFormer's release
            does; an image may lack some of them. 'image' draws half of the image's own values, as DACS (and the paper)
            does, also including "ignore".

    Returns:
        (N, 256) bool: row i is True at the values drawn for image i.

    Raises:
        UserError: If ``of`` is unknown.
    """
    if of not in ('batch', 'image'):
        raise UserError(f"mix.classes_of = {of!r} must be 'batch' or 'image'")
    values = labels.flatten(1)
    present = torch.zeros(len(labels), _VALUES, dtype=torch.bool, device=labels.device).scatter_(1, values, True)
    if of == 'batch':
        present = present.any(0, keepdim=True).expand(len(labels), -1)
    scores = torch.rand(present.shape, generator=generator, device=generator.device)
    scores = scores.to(labels.device, non_blocking=True)
    rank = scores.masked_fill(~present, 2).argsort(1).argsort(1)
    return rank < (present.sum(1, keepdim=True) + 1) // 2


def class_table(chosen: Sequence[Sequence[int]], device: torch.device | str | None = None) -> Tensor:
    """Convert lists of label values, one per image, to the form that :func:`draw_classes` returns."""
    table = torch.zeros(len(chosen), _VALUES, dtype=torch.bool)
    for row, values in zip(table, chosen):
        row[list(values)] = True
    return table.to(device)


def class_mask(labels: Tensor, chosen: Tensor) -> Tensor:
    """(N, H, W) bool: the pixels whose label is in ``chosen`` (N, 256) for their image."""
    return chosen.gather(1, labels.flatten(1)).view_as(labels)


def mix(mask: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
    """``a`` where ``mask`` (N, H, W), else ``b``. Both are (N, C, H, W), both are (N, H, W), or they are numbers."""
    wide = any(isinstance(x, Tensor) and x.ndim == 4 for x in (a, b))
    return torch.where(mask[:, None] if wide else mask, a, b)


def draw_block_mask(n: int, size: tuple[int, int], block: int, ratio: float, generator: Generator) -> Tensor:
    """MIC (Hoyer et al., CVPR 2023, Eq. 8): draw which blocks stay visible, each with probability 1 − ``ratio``.

    Args:
        size: (H, W) of the images.
        block: side of a block in pixels; the grid has round(H / block) × round(W / block) of them.

    Returns:
        (n, rows, columns) bool, True where visible.

    Raises:
        UserError: If ``ratio`` is outside [0, 1], or a block is larger than the image.
    """
    if not 0 <= ratio <= 1:
        raise UserError(f'mask.ratio = {ratio} must be between 0 and 1')
    grid = [round(side / block) for side in size]
    if min(grid) < 1:
        raise UserError(f'mask.block = {block} is larger than the image ({size[0]}×{size[1]}): choose a smaller one')
    return torch.rand(n, *grid, generator=generator, device=generator.device) > ratio


def hide(images: Tensor, visible: Tensor) -> Tensor:
    """Set ``images`` to 0, the mean colour of normalised images, in the blocks that are not ``visible``.

    ``visible``: as :func:`draw_block_mask` returns it. A block is H / rows pixels high, which may be a fraction.
    """
    mask = visible[:, None].to(images.device, images.dtype, non_blocking=True)
    return images * F.interpolate(mask, size=images.shape[2:], mode='nearest')


def pseudo_labels(logits: Tensor, threshold: float, per_image: bool = False) -> tuple[Tensor, Tensor]:
    """The teacher's labels, and the share q of pixels with a confidence of at least ``threshold``.

    Every pixel gets a class. The softmax is computed in float32 or better.

    Args:
        logits: (N, C, H, W), at image size.
        per_image: one q per image (the paper's q has an image index) instead of one for the whole batch (the released
            code).

    Returns:
        labels (N, H, W) int64, and q: a scalar, or (N,) with ``per_image``.
    """
    labels, confidence = most_probable(logits)
    confident = (confidence >= threshold).flatten(1).sum(1)
    pixels = labels[0].numel()
    if per_image:
        return labels, confident.to(confidence.dtype) / pixels
    return labels, confident.sum().to(confidence.dtype) / (pixels * len(labels))


def most_probable(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The most probable class of (N, C, H, W) and its probability, (N, H, W) each, in float32 or better."""
    logits = at_least_float32(logits)
    best, labels = logits.max(1)
    return labels, (logits - best[:, None]).exp_().sum(1).reciprocal_()  # the largest entry of the softmax


def weights_with_margins(
    q: Tensor, labels: Tensor, top: int = 0, bottom: int = 0, valid: Tensor | None = None
) -> Tensor:
    """The weight of each pseudo-label: q, but 0 where the target shows the ego vehicle or rectification artefacts.

    The margins do not change q itself.

    Args:
        q: a scalar, or one number per image.
        labels: the pseudo-labels; only their shape is used.
        top: number of rows at the top of the crop that get weight 0, wherever the crop was taken.
        bottom: the same at the bottom.
        valid: a mask to use instead of ``top`` and ``bottom``, cropped and flipped with the image, (N, H, W) or
            (N, 1, H, W): 1 where pseudo-labels count. Any other value counts as 0; in the release, a padded pixel (255)
            has weight 255 q.

    Returns:
        (N, H, W), in the precision of ``q``.

    Raises:
        UserError: If both kinds of margins are given, or margins are negative or as high as the crop.
    """
    height = labels.shape[1]
    if valid is not None and (top or bottom):
        raise UserError('margins are set twice: remove ignore_top and ignore_bottom, or the mask of valid pixels')
    if min(top, bottom) < 0 or top + bottom >= height:
        raise UserError(
            f'ignore_top = {top} and ignore_bottom = {bottom} must be at least 0, and together less than the {height} '
            'rows of a crop'
        )
    weights = q.view(-1, 1, 1).expand(labels.shape)
    if valid is not None:
        return weights * (valid.view_as(labels) == 1)
    weights = weights.clone()
    weights[:, :top] = 0
    weights[:, height - bottom :] = 0
    return weights


def pixels_of(labels: Tensor) -> Tensor:
    """The number of pixels with each label in 0 … 255, (256,) int64, counted on the device without waiting for it."""
    flat = labels.flatten()
    return torch.zeros(256, dtype=torch.int64, device=labels.device).scatter_add_(0, flat, torch.ones_like(flat))


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` in float32 if it has half precision; float64 stays float64."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
