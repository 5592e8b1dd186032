"""FCAN's appearance adaptation network (AAN): an image with the source's content and the target's style.

Zhang et al., "Fully Convolutional Adaptation Networks for Semantic Segmentation", CVPR 2018, arXiv 1804.08286. It
minimises :mod:`~mmseg_adapt.style.objective`. No network is trained: the image itself is optimised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..errors import UserError
from .colour import check_colours, colour_gram_of, recoloured
from .encoder import StyleEncoder
from .gram import Style
from .objective import Objective
from .recipe import RECIPES
from .solvers import SOLVERS, value_and_gradient
from .together import Together

SMALLEST = 32  # pixels: coarse levels with a shorter side below this are skipped


class Rendered(NamedTuple):
    """Images BGR 0–255 (N, 3, H, W), their final objective (N,), the number of gradients computed, their starts."""

    images: Tensor
    objective: Tensor
    evaluations: int
    starts: list[str]


class AppearanceAdapter:
    """Render images in a style.

    Args:
        encoder: frozen; :func:`~mmseg_adapt.style.encoder.build_encoder`.
        objective: the objective to minimise.
        fast: the recipe: False is the paper's, True is :data:`~.recipe.FAST`, ``'quick'`` is :data:`~.recipe.QUICK`.
            All minimise the same objective. ``'quick'`` reaches about the objective of True in a third of the time, but
            its renders have less style, and training on them gives a lower mIoU (docs/aan.md).
        **recipe: fields of :class:`Recipe` to change in it.

    Raises:
        UserError: If the recipe or a field is unknown, or the start is the colours but the encoder has no colour layer.
    """

    def __init__(self, encoder: StyleEncoder, objective: Objective, fast: bool | str = False, **recipe) -> None:
        self.encoder = encoder
        self.objective = objective
        if fast not in RECIPES:
            raise UserError(f"aan.fast = {fast!r}: set it to True, to 'quick', or to False (the paper's recipe)")
        try:
            self.recipe = replace(RECIPES[fast], **recipe)
        except TypeError as error:
            raise UserError(f'aan.recipe: {error}') from None
        if self.recipe.start in ('colour', 'best'):
            check_colours(encoder.layers, f"aan.recipe.start = '{self.recipe.start}'")

    def render(self, source: Tensor, style: Style, seeds: Sequence[int] | None = None) -> Rendered:
        """Render a batch: (N, 3, H, W) BGR 0–255. Images are independent; ``seeds[n]`` sets the noise of image n.

        The encoder computes the features of all images in one pass, so a render of a batch differs from one rendered
        alone by rounding.

        Raises:
            UserError: the layers of the style are not those of the encoder.
        """
        if set(style.grams) != set(self.encoder.layers):
            raise UserError(
                f'the style has the layers {list(style.grams)}, but the encoder {list(self.encoder.layers)}'
            )
        seeds = range(len(source)) if seeds is None else seeds
        style = style.to(source.device)
        apart = self.recipe.solver == 'lbfgs' or self.recipe.plateau > 0  # these depend on the objective's value
        if not apart or len(source) == 1:
            return self._render(source, style, seeds, value_and_gradient)
        solvers = [partial(self._render, source[n : n + 1], style, [seed]) for n, seed in enumerate(seeds)]
        parts = Together(_values_and_gradients).run(solvers)
        images, objective = (torch.cat([part[i] for part in parts]) for i in (0, 1))
        starts = [start for part in parts for start in part.starts]
        return Rendered(images, objective, sum(part.evaluations for part in parts), starts)

    def _render(self, source: Tensor, style: Style, seeds: Sequence[int], evaluate: Callable) -> Rendered:
        x, before, evaluations = None, None, 0
        for scale, iterations in self.recipe.levels:
            size = [round(scale * n) for n in source.shape[2:]]
            if scale != 1 and min(size) < SMALLEST:
                continue
            content = source if scale == 1 else interpolate(source, size, mode='area')
            loss = _Loss(self, content, style)
            if x is None:
                x, starts = self._start(loss, seeds)
            else:
                x = content + interpolate(x - before, size, mode='bilinear')
            evaluations += self._descend(partial(evaluate, loss), x, iterations)
            before = content
        with torch.no_grad():
            image = x.clamp(0, 255)
            return Rendered(image, loss(image), evaluations, starts)

    @torch.no_grad()
    def _start(self, loss: _Loss, seeds: Sequence[int]) -> tuple[Tensor, list[str]]:
        """The images to start from, and the kind of each."""
        start, content = self.recipe.start, loss.source
        if start == 'content':
            return content.clone(), [start] * len(content)
        if start in ('colour', 'best'):
            colours = recoloured(content, colour_gram_of(loss.style, 'aan.recipe.start')).clamp(0, 255)
            if start == 'colour':
                return colours, [start] * len(content)
            better = loss(colours) < loss(content)
            names = ['colour' if chosen else 'content' for chosen in better.tolist()]
            return torch.where(better.view(-1, 1, 1, 1), colours, content), names
        noise = [torch.rand(content.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        noise = 255 * torch.stack(noise).to(content)
        return noise if start == 'noise' else (noise + content) / 2, [start] * len(content)

    def features(self, x: Tensor) -> dict[str, Tensor]:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.recipe.amp and x.is_cuda):
            return self.encoder(x)

    def _descend(self, evaluate: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor, iterations: int) -> int:
        """Change x; returns the number of gradients computed."""
        recipe, best, gradients = self.recipe, None, 0

        def counted(x: Tensor) -> tuple[Tensor, Tensor]:
            nonlocal gradients
            gradients += 1
            return evaluate(x)

        steps = SOLVERS[recipe.solver](counted, x, iterations, recipe)
        for i, values in enumerate(steps):
            if not recipe.plateau or (recipe.solver != 'lbfgs' and i % recipe.patience):
                continue
            if best is not None and (values > (1 - recipe.plateau) * best).all():
                break
            best = values
        return gradients


class _Loss:
    """The objective as a function of x only. It computes the content's features once."""

    def __init__(
        self, adapter: AppearanceAdapter, source: Tensor, style: Style, content: dict[str, Tensor] | None = None
    ) -> None:
        self.adapter = adapter
        self.style = style
        self.source = source
        with torch.no_grad():
            self.content = content or adapter.features(source)

    def __call__(self, x: Tensor) -> Tensor:
        objective = self.adapter.objective
        loss = objective(self.adapter.features(x), self.content, self.style)
        return loss + objective.roughness(x, self.source) if objective.smoothness else loss


def _values_and_gradients(questions: list[tuple[_Loss, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """:func:`~.solvers.value_and_gradient` of several losses: one pass through the encoder for images of one size."""
    answers: list = [None] * len(questions)
    sizes: dict[torch.Size, list[int]] = {}  # an image that reached its plateau is a level further
    for i, (_, x) in enumerate(questions):
        sizes.setdefault(x.shape, []).append(i)
    for group in sizes.values():
        losses, images = zip(*(questions[i] for i in group))
        content = {name: torch.cat([loss.content[name] for loss in losses]) for name in losses[0].content}
        joined = _Loss(losses[0].adapter, torch.cat([loss.source for loss in losses]), losses[0].style, content)
        values, gradients = value_and_gradient(joined, torch.cat(images))
        for i, value, gradient in zip(group, values.split(1), gradients.split(1)):
            answers[i] = value, gradient
    return answers
