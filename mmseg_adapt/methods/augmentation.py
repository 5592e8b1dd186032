"""Strong augmentation of normalised images on the device: the colour jitter and Gaussian blur of the DACS release.

``draw_…`` functions draw parameters from a generator (a CPU generator never waits for the device). One draw decides
for the whole batch whether the iteration augments at all; None means that it does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

# kornia 0.5.8, which the released codes use, stores π as a float32: a full turn of hue is a turn times this
_TURN = float(torch.tensor(math.pi, dtype=torch.float32)) / math.pi
_SIGMAS = (0.15, 1.15)


class Jitter(NamedTuple):
    """Drawn factors (n, 4) float64, brightness, contrast, saturation and hue (in turns), and the order of the four."""

    factors: Tensor
    orders: list[list[int]]


def _uniform(n: int, low: float, high: float, generator: Generator) -> Tensor:
    drawn = torch.rand(n, generator=generator, device=generator.device, dtype=torch.float64).cpu()
    return low + (high - low) * drawn


def draw_jitter(
    n: int, strength: float, generator: Generator, prob: float = 0.8, one_order: bool = False
) -> Jitter | None:
    """Draw factors and orders for ``n`` images, or None with probability 1 − ``prob``.

    Args:
        strength: brightness, contrast and saturation lie within 1 ± strength, hue within ± strength turns.
        one_order: one order for all images (MIC's masked images) instead of one per image (DACS' mixed images).
    """
    if _uniform(1, 0, 1, generator).item() >= prob:
        return None
    centre = torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    factors = centre + _uniform(4 * n, -strength, strength, generator).view(n, 4)
    orders = [torch.randperm(4, generator=generator, device=generator.device).tolist() for _ in range(n)]
    return Jitter(factors, orders[:1] * n if one_order else orders)


def jitter(images: Tensor, drawn: Jitter | None, mean: Tensor, std: Tensor) -> Tensor:
    """The colour jitter of kornia 0.5.8. Later kornia versions and torchvision define it differently.

    It works on colours in [0, 1] and clamps after each of the first three. Brightness *adds* factor − 1; contrast
    multiplies (about black); saturation multiplies S of HSV; hue is added to H of HSV.

    Args:
        images: (N, 3, H, W), normalised by ``mean`` and ``std``, three numbers each in 0 … 255.
        drawn: for the same number of images; None returns ``images``.
    """
    if drawn is None:
        return images
    mean, std = (torch.as_tensor(x).to(images).view(3, 1, 1) for x in (mean, std))
    factors = drawn.factors.to(images.device, images.dtype, non_blocking=True)
    colours = (images * std + mean) / 255
    if all(order == drawn.orders[0] for order in drawn.orders):
        colours = _in_order(colours, factors, drawn.orders[0])
    else:
        single = zip(colours.split(1), factors.split(1), drawn.orders)
        colours = torch.cat([_in_order(image, factor, order) for image, factor, order in single])
    return (colours * 255 - mean) / std


def _in_order(x: Tensor, factors: Tensor, order: list[int]) -> Tensor:
    for i in order:
        x = _STEPS[i](x, factors[:, i].view(-1, 1, 1, 1))
    return x


def _brightness(x: Tensor, factor: Tensor) -> Tensor:
    return (x + (factor - 1)).clamp(0, 1)


def _contrast(x: Tensor, factor: Tensor) -> Tensor:
    return (x * factor).clamp(0, 1)


def _saturation(x: Tensor, factor: Tensor) -> Tensor:
    h, s, v = _hsv(x)
    return _rgb(h, (s * factor).clamp(0, 1), v)


def _hue(x: Tensor, factor: Tensor) -> Tensor:
    h, s, v = _hsv(x)
    return _rgb((h + factor * _TURN).fmod(_TURN), s, v)


_STEPS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (_brightness, _contrast, _saturation, _hue)


def _hsv(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """RGB (N, 3, H, W) in [0, 1] → hue in turns, saturation and value, (N, 1, H, W) each."""
    v, largest = rgb.max(1, keepdim=True)
    delta = v - rgb.amin(1, keepdim=True)
    saturation = delta / (v + 1e-6)
    r, g, b = rgb.split(1, 1)
    divisor = torch.where(delta == 0, 1, delta)  # grey pixels have hue 0
    sixths = torch.cat([(g - b) / divisor, (b - r) / divisor + 2, (r - g) / divisor + 4], 1)
    return (sixths.gather(1, largest) / 6).remainder(1), saturation, v


def _rgb(h: Tensor, s: Tensor, v: Tensor) -> Tensor:
    """The inverse of :func:`_hsv`: channel c of V − V·S·clamp(min(k, 4 − k), 0, 1), k = (offset of c + 6 H) mod 6."""
    offsets = 5 - 2 * torch.arange(3, device=h.device, dtype=h.dtype).view(3, 1, 1)
    k = (offsets + 6 * h).remainder(6)
    return v - v * s * torch.minimum(k, 4 - k).clamp(0, 1)


def draw_blur(n: int, generator: Generator, prob: float = 0.5, one_sigma: bool = False) -> list[float] | None:
    """Draw σ ~ U(0.15, 1.15) pixels for each of ``n`` images, or None with probability 1 − ``prob``.

    Args:
        one_sigma: one σ for all images (MIC's masked images).
    """
    if _uniform(1, 0, 1, generator).item() >= prob:
        return None
    sigmas = _uniform(n, *_SIGMAS, generator).tolist()
    return sigmas[:1] * n if one_sigma else sigmas


def kernel_size(side: int) -> int:
    """The odd kernel size near a tenth of an image's side, as in the released code.

    >>> [kernel_size(side) for side in (64, 128, 512, 1024)]
    [7, 13, 51, 103]
    """
    tenth = math.ceil(0.1 * side)
    return tenth - 1 + tenth % 2


def blur(images: Tensor, sigmas: list[float] | None) -> Tensor:
    """Gaussian blur with one σ per image, :func:`kernel_size` taps, and mirrored borders.

    Taps further out than 9 σ have a weight below 1e-17 and are omitted. None returns ``images``.
    """
    if sigmas is None:
        return images
    n, channels, height, width = images.shape
    x = images.reshape(1, n * channels, height, width)
    for side, shape in ((height, (-1, 1)), (width, (1, -1))):
        taps = _taps(kernel_size(side), sigmas).to(images.device, images.dtype, non_blocking=True)
        kernel = taps.repeat_interleave(channels, 0).view(n * channels, 1, *shape)
        rows, columns = (size // 2 for size in kernel.shape[2:])
        x = F.conv2d(F.pad(x, (columns, columns, rows, rows), mode='reflect'), kernel, groups=n * channels)
    return x.view_as(images)


def _taps(size: int, sigmas: list[float]) -> Tensor:
    """(len(sigmas), taps): normalised Gaussians."""
    radius = min(size // 2, math.ceil(9 * max(sigmas)))
    distance = torch.arange(-radius, radius + 1, dtype=torch.float64)
    gauss = torch.exp(-(distance**2) / (2 * torch.tensor(sigmas, dtype=torch.float64)[:, None] ** 2))
    return gauss / gauss.sum(1, keepdim=True)
