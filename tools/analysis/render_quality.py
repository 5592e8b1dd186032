"""How renders look, in three numbers: their total variation, what a shift does to them, and how near the target is."""

from collections.abc import Callable

import torch
from mmengine.config import Config
from style_distance import channel_statistics, distance
from torch import Tensor

from mmseg_adapt.style.colour import COLOUR
from mmseg_adapt.style.encoder import build_encoder
from mmseg_adapt.style.objective import variation

SHIFT = 8  # pixels, which is half the stride of the deepest layer that the configs compare

Render = Callable[[Tensor], Tensor]  # (1, 3, H, W) BGR 0–255 → the same


def relative_variation(image: Tensor, source: Tensor) -> float:
    """The render's total variation as a multiple of the source's."""
    return (variation(image) / variation(source)).item()


def shift_error(render: Render, source: Tensor) -> float:
    """Mean |difference|, in grey levels, of the renders of two crops 8 pixels apart, where both show the same."""
    left, right = render(source[..., :-SHIFT]), render(source[..., SHIFT:])
    return (left[..., SHIFT:] - right[..., :-SHIFT]).abs().mean().item()


class Judge:
    """A network that took no part in rendering: how far its channel statistics are from the target's.

    Args:
        config: a config whose ``aan.encoder`` it is.
        pool: target images, (1, 3, H, W) each.
    """

    def __init__(self, config: str, pool: list[Tensor]) -> None:
        self.encoder = build_encoder(Config.fromfile(config).to_dict()['aan']['encoder']).to(pool[0].device)
        rows = [channel_statistics(self.encoder, image) for image in pool]
        self.target = {name: torch.stack([row[name] for row in rows]) for name in rows[0] if name != COLOUR}

    def __call__(self, image: Tensor) -> tuple[float, float]:
        """Distance of means and of deviations, in spreads of the target, means over layers (:func:`distance`)."""
        ours = channel_statistics(self.encoder, image)
        distances = torch.tensor([distance(ours[name][None], target) for name, target in self.target.items()])
        return tuple(distances.mean(0).tolist())
