"""What AAN minimises: FCAN's appearance adaptation, Zhang et al., CVPR 2018, arXiv 1804.08286, Eq. 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UserError
from .gram import Style, at_least_single, gram_matrix

PAPER_ALPHA = 1e-14


@dataclass(frozen=True)
class Objective:
    """L(x_o) = Σ_l w_s^l ‖M_o^l − M_s^l‖² + α Σ_l w_t^l ‖G_o^l − Ḡ_t^l‖².

    Args:
        alpha: weight of the style. The paper's 1e-14 belongs to its encoder and resolution: G grows with h·w and with
            the square of the features.
        weights: ``'unit'``, w = 1, or ``'balanced'``, w_s^l = 1 / tr Ḡ_t^l and w_t^l = 1 / ‖Ḡ_t^l‖²: every layer counts
            alike, and α is a plain number, the same for any encoder and resolution (tr Ḡ_t is the mean of ‖M_t‖²). The
            paper does not print its weights.
        content_weights, style_weights: layer → a factor on top of ``weights``; layers that are not named have 1.
        squared: False takes distances without the square.
    """

    alpha: float = PAPER_ALPHA
    weights: str = 'unit'
    content_weights: Mapping[str, float] | None = None
    style_weights: Mapping[str, float] | None = None
    squared: bool = True

    def __post_init__(self) -> None:
        if self.weights not in ('unit', 'balanced'):
            raise UserError(f"aan.objective.weights = {self.weights!r} is neither 'unit' nor 'balanced'")
        if not self.alpha >= 0:
            raise UserError(f'aan.objective.alpha = {self.alpha}: it weighs a loss and cannot be negative')

    def content(self, features: dict[str, Tensor], content: dict[str, Tensor], style: Style) -> Tensor:
        """Σ_l w_s^l ‖M_o^l − M_s^l‖² of every image: (N,)."""
        terms = []
        for name, maps in features.items():
            # what ‖M_t‖² is on average, at this number of positions
            scale = style.grams[name].trace() * maps[0, 0].numel() if self.weights == 'balanced' else 1.0
            terms.append(self._distance(maps, content[name], scale, self.content_weights, name))
        return sum(terms)

    def style(self, features: dict[str, Tensor], style: Style) -> Tensor:
        """Σ_l w_t^l ‖G_o^l − Ḡ_t^l‖² of every image, without α: (N,)."""
        terms = []
        for name, maps in features.items():
            target = style.grams[name] * maps[0, 0].numel()
            scale = target.square().sum() if self.weights == 'balanced' else 1.0
            terms.append(self._distance(gram_matrix(maps), target, scale, self.style_weights, name))
        return sum(terms)

    def __call__(self, features: dict[str, Tensor], content: dict[str, Tensor], style: Style) -> Tensor:
        """(N,): a batch is a set of separate problems."""
        loss = self.content(features, content, style)
        return loss + self.alpha * self.style(features, style) if self.alpha else loss

    def _distance(self, a: Tensor, b: Tensor, scale, factors: Mapping[str, float] | None, name: str) -> Tensor:
        factor = (factors or {}).get(name, 1.0)
        if not factor:
            return a.new_zeros(len(a))
        difference = (at_least_single(a) - at_least_single(b)).flatten(1)
        if self.squared:
            distance = difference.square().sum(1) / scale
        else:  # vector_norm has a gradient at zero
            distance = torch.linalg.vector_norm(difference, dim=1) / (scale**0.5)
        return factor * distance
