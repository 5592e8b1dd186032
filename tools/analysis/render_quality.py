"""Three measures of renders: their total variation, their change under a shift, and their distance to the target."""

from collections.abc import Callable

import torch
from mmengine.config import Config
from style_distance import channel_statistics, distance
from torch import Tensor

from mmseg_adapt.style.colour import COLOUR
from mmseg_adapt.style.encoder import build_encoder
from mmseg_adapt.style.objective import variation

SHIFT = 8  # pixels: half the stride of the deepest layer in the configs

Render = Callable[[Tensor], Tensor]  # (1, 3, H, W) BGR 0–255 → the same


def relative_variation(image: Tensor, source: Tensor) -> float:
    """The render's total variation as a multiple of the source's."""
    return (variation(image) / variation(source)).item()


def shift_error(render: Render, source: Tensor) -> float:
    """Mean |difference|, in grey levels, between the renders of two crops 8 pixels apart, where they overlap."""
    left, right = render(source[..., :-SHIFT]), render(source[..., SHIFT:])
    return (left[..., SHIFT:] - right[..., :-SHIFT]).abs().mean().item()


class Judge:
    """The distance to the target in the channel statistics of a network that was not used for rendering.

    Args:
        config: a config; the network is its ``aan.encoder``.
        pool: target images, (1, 3, H, W) each.
    """

    def __init__(self, config: str, pool: list[Tensor]) -> None:
        self.encoder = build_encoder(Config.fromfile(config).to_dict()['aan']['encoder']).to(pool[0].device)
        rows = [channel_statistics(self.encoder, image) for image in pool]
        self.target = {name: torch.stack([row[name] for row in rows]) for name in rows[0] if name != COLOUR}

    def __call__(self, image: Tensor) -> tuple[float, float]:
        """Distance of means and of deviations, in units of the target's spread, averaged over layers
        (:func:`distance`)."""
        ours = channel_statistics(self.encoder, image)
        distances = torch.tensor([distance(ours[name][None], target) for name, target in self.target.items()])
        return tuple(distances.mean(0).tolist())
