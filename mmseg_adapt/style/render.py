"""FCAN's appearance adaptation network (AAN): an image with the source's content and the target's style.

Zhang et al., "Fully Convolutional Adaptation Networks for Semantic Segmentation", CVPR 2018, arXiv 1804.08286. What is
minimised: :mod:`~mmseg_adapt.style.objective`. There is no network to train: the image itself is what is optimised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..errors import UserError
from .encoder import StyleEncoder
from .gram import Style
from .objective import Objective
from .recipe import FAST, PAPER
from .solvers import SOLVERS

SMALLEST = 32  # pixels of the shorter side below which a coarse level is left out


class Rendered(NamedTuple):
    """Images BGR 0–255 (N, 3, H, W), the objective they reach (N,), and how often its gradient was taken."""

    images: Tensor
    objective: Tensor
    evaluations: int


class AppearanceAdapter:
    """Render images in a style.

    Args:
        encoder: frozen; :func:`~mmseg_adapt.style.encoder.build_encoder`.
        objective: what is minimised.
        fast: start from :data:`FAST` instead of the paper's recipe. Both minimise the same objective.
        **recipe: fields of :class:`Recipe` that differ from it.
    """

    def __init__(self, encoder: StyleEncoder, objective: Objective, fast: bool = False, **recipe) -> None:
        self.encoder = encoder
        self.objective = objective
        try:
            self.recipe = replace(FAST if fast else PAPER, **recipe)
        except TypeError as error:
            raise UserError(f'aan.recipe: {error}') from None

    def render(self, source: Tensor, style: Style, seeds: Sequence[int] | None = None) -> Rendered:
        """Render a batch: (N, 3, H, W) BGR 0–255. Image n does not depend on the others, its noise on ``seeds[n]``.

        Raises:
            UserError: a style of other layers than the encoder's.
        """
        if set(style.grams) != set(self.encoder.layers):
            raise UserError(
                f'the style has the layers {list(style.grams)}, but the encoder {list(self.encoder.layers)}'
            )
        seeds = range(len(source)) if seeds is None else seeds
        style = style.to(source.device)
        apart = self.recipe.solver == 'lbfgs' or self.recipe.plateau > 0  # these look at the objective's value
        groups = [[n] for n in range(len(source))] if apart else [list(range(len(source)))]
        parts = [self._render(source[group], style, [seeds[n] for n in group]) for group in groups]
        images, objective = (torch.cat([part[i] for part in parts]) for i in (0, 1))
        return Rendered(images, objective, sum(part.evaluations for part in parts))

    def _render(self, source: Tensor, style: Style, seeds: list[int]) -> Rendered:
        x, before, evaluations = None, None, 0
        for scale, iterations in self.recipe.levels:
            size = [round(scale * n) for n in source.shape[2:]]
            if scale != 1 and min(size) < SMALLEST:
                continue
            content = source if scale == 1 else interpolate(source, size, mode='area')
            changed = None if x is None else interpolate(x - before, size, mode='bilinear')
            x = self._start(content, seeds) if changed is None else content + changed
            loss = _Loss(self, content, style)
            self._descend(loss, x, iterations)
            evaluations, before = evaluations + loss.evaluations, content
        with torch.no_grad():
            image = x.clamp(0, 255)
            return Rendered(image, loss(image), evaluations)

    def _start(self, content: Tensor, seeds: list[int]) -> Tensor:
        if self.recipe.start == 'content':
            return content.clone()
        noise = [torch.rand(content.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        noise = 255 * torch.stack(noise).to(content)
        return noise if self.recipe.start == 'noise' else (noise + content) / 2

    def features(self, x: Tensor) -> dict[str, Tensor]:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.recipe.amp and x.is_cuda):
            return self.encoder(x)

    def _descend(self, loss, x: Tensor, iterations: int) -> None:
        recipe, best = self.recipe, None
        steps = SOLVERS[recipe.solver](loss, x, iterations, recipe)
        for i, values in enumerate(steps):
            if not recipe.plateau or (recipe.solver != 'lbfgs' and i % recipe.patience):
                continue
            if best is not None and (values > (1 - recipe.plateau) * best).all():
                break
            best = values


class _Loss:
    """The objective as a function of x alone; the features of the content are computed here, once."""

    def __init__(self, adapter: AppearanceAdapter, content: Tensor, style: Style) -> None:
        self.adapter = adapter
        self.style = style
        self.evaluations = 0
        with torch.no_grad():
            self.content = adapter.features(content)

    def __call__(self, x: Tensor) -> Tensor:
        self.evaluations += x.requires_grad
        return self.adapter.objective(self.adapter.features(x), self.content, self.style)
