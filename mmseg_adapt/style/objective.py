"""The objective of AAN, FCAN's appearance adaptation: Zhang et al., CVPR 2018, arXiv 1804.08286, Eq. 3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UserError
from .gram import Style, at_least_single, gram_matrix

PAPER_ALPHA = 1e-14


def variation(images: Tensor) -> Tensor:
    """Total variation: mean absolute difference of neighbours, smoothed below a grey level: (N, C, H, W) → (N,)."""
    differences = images.diff(dim=2), images.diff(dim=3)
    return sum(((d.square() + 1).sqrt() - 1).flatten(1).mean(1) for d in differences)


@dataclass(frozen=True)
class Objective:
    """L(x_o) = Σ_l w_s^l ‖M_o^l − M_s^l‖² + α Σ_l w_t^l ‖G_o^l − Ḡ_t^l‖².

    Args:
        alpha: weight of the style. The paper's 1e-14 depends on its encoder and resolution: G grows with h·w and with
            the square of the features.
        weights: ``'unit'``, w = 1, or ``'balanced'``, w_s^l = 1 / tr Ḡ_t^l and w_t^l = 1 / ‖Ḡ_t^l‖². Balanced layers
            have equal weight, and the same α works for any encoder and resolution (tr Ḡ_t is the mean of ‖M_t‖²). The
            paper does not give its weights.
        content_weights, style_weights: layer → a factor on top of ``weights``; 1 for other layers.
        squared: False uses distances without the square.
        smoothness: weight of the render's total variation relative to the source's (:meth:`roughness`). The paper has
            no such term; 0 turns it off.
    """

    alpha: float = PAPER_ALPHA
    weights: str = 'unit'
    content_weights: Mapping[str, float] | None = None
    style_weights: Mapping[str, float] | None = None
    squared: bool = True
    smoothness: float = 0.0

    def __post_init__(self) -> None:
        if self.weights not in ('unit', 'balanced'):
            raise UserError(f"aan.objective.weights = {self.weights!r} must be 'unit' or 'balanced'")
        for key in ('alpha', 'smoothness'):
            if not getattr(self, key) >= 0:
                raise UserError(f'aan.objective.{key} = {getattr(self, key)} must be at least 0')

    def roughness(self, images: Tensor, source: Tensor) -> Tensor:
        """smoothness · TV(x_o) / (TV(x_s) + 1): (N, 3, H, W) of BGR 0–255, twice → (N,)."""
        return self.smoothness * variation(images) / (variation(source) + 1)

    def content(self, features: dict[str, Tensor], content: dict[str, Tensor], style: Style) -> Tensor:
        """Σ_l w_s^l ‖M_o^l − M_s^l‖² for every image: (N,)."""
        terms = []
        for name, maps, factor in self._counted(features, self.content_weights):
            # the mean of ‖M_t‖² at this number of positions
            scale = style.grams[name].trace() * maps[0, 0].numel() if self.weights == 'balanced' else 1.0
            terms.append(factor * self._distance(maps, content[name], scale))
        return sum(terms, _zeros(features))

    def style(self, features: dict[str, Tensor], style: Style) -> Tensor:
        """Σ_l w_t^l ‖G_o^l − Ḡ_t^l‖² for every image, without α: (N,)."""
        terms = []
        for name, maps, factor in self._counted(features, self.style_weights):
            target = style.grams[name] * maps[0, 0].numel()
            scale = target.square().sum() if self.weights == 'balanced' else 1.0
            terms.append(factor * self._distance(gram_matrix(maps), target, scale))
        return sum(terms, _zeros(features))

    def __call__(self, features: dict[str, Tensor], content: dict[str, Tensor], style: Style) -> Tensor:
        """(N,): the images of a batch are separate problems."""
        loss = self.content(features, content, style)
        return loss + self.alpha * self.style(features, style) if self.alpha else loss

    def _distance(self, a: Tensor, b: Tensor, scale: Tensor | float) -> Tensor:
        difference = (at_least_single(a) - at_least_single(b)).flatten(1)
        if self.squared:
            return difference.square().sum(1) / scale
        return torch.linalg.vector_norm(difference, dim=1) / (scale**0.5)  # it has a gradient at zero

    @staticmethod
    def _counted(
        features: dict[str, Tensor], factors: Mapping[str, float] | None
    ) -> Iterator[tuple[str, Tensor, float]]:
        """The layers with a factor other than 0."""
        for name, maps in features.items():
            if factor := (factors or {}).get(name, 1.0):
                yield name, maps, factor


def _zeros(features: dict[str, Tensor]) -> Tensor:
    """(N,)"""
    maps = next(iter(features.values()))
    return at_least_single(maps.new_zeros(len(maps)))
