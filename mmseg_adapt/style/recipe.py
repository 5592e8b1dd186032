"""How the objective is minimised: settings for :mod:`~mmseg_adapt.style.solvers`, and three named recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UserError


@dataclass(frozen=True)
class Recipe:
    """How to minimise the objective; the defaults are the paper's.

    Args:
        start: ``'noise'`` (uniform, 0–255), ``'content'`` (the source image), ``'noise+content'`` (their mean),
            ``'colour'`` (the source image in the pool's colours, :mod:`~mmseg_adapt.style.colour`) or ``'best'``
            (``'content'`` or ``'colour'``, whichever has the lower objective); these two need the layer ``'colour'``.
        solver: ``'normalised'`` (the paper's rule), ``'lbfgs'`` or ``'adam'``.
        levels: (scale, iterations) from coarse to fine; the last scale is 1. Each level starts from the last one's
            changes.
        beta: the paper's β, in grey levels.
        norm: gradient norm in the paper's rule, ``'mean'`` or (literally) ``'sum'``.
        plateau: end a level when ``patience`` iterations lower the objective by less than this share; 0 turns it off.
        amp: bfloat16 in the encoder, only on a GPU.
    """

    start: str = 'noise'
    solver: str = 'normalised'
    levels: Sequence[tuple[float, int]] = ((1.0, 1000),)
    beta: float = 10.0
    norm: str = 'mean'
    plateau: float = 0.0
    patience: int = 20
    amp: bool = False

    def __post_init__(self) -> None:
        for name, known in (
            ('start', ('noise', 'content', 'noise+content', 'colour', 'best')),
            ('solver', ('normalised', 'lbfgs', 'adam')),
            ('norm', ('mean', 'sum')),
        ):
            if getattr(self, name) not in known:
                raise UserError(f'aan.recipe.{name} = {getattr(self, name)!r} must be one of {list(known)}')
        pairs = bool(self.levels) and all(len(level) == 2 and min(level) > 0 for level in self.levels)
        if not pairs or self.levels[-1][0] != 1 or any(n < 1 for _, n in self.levels):
            raise UserError(
                f'aan.recipe.levels = {self.levels}: list (scale, iterations) from coarse to fine, with last scale 1'
            )
        if self.patience < 1:
            raise UserError(f'aan.recipe.patience = {self.patience} must be at least 1')


PAPER = Recipe()
FAST = Recipe(start='content', solver='lbfgs', levels=((0.5, 50), (1.0, 40)), beta=2.0, plateau=0.01, amp=True)
# A lower objective does not mean more style: renders that start from the colours change little else. Training on
# renders of a recipe like QUICK gave 3 to 4 points of mIoU less than on those of FAST (docs/aan.md). QUICK starts from
# the colours even where 'best' would not: after the same number of iterations the objective is still lower.
QUICK = Recipe(start='colour', solver='lbfgs', levels=((1.0, 16),), beta=2.0, amp=True)
RECIPES = {False: PAPER, True: FAST, 'quick': QUICK}  # by the value of aan.fast
