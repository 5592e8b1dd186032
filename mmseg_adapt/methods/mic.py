"""Hoyer et al., "MIC: Masked Image Consistency for Context-Enhanced Domain Adaptation", CVPR 2023, arXiv 2212.01322."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from mmseg.registry import MODELS

from ..errors import UserError
from .daformer import DAFormer
from .mixing import draw_block_mask, hide
from .self_training import Domain, Lesson

MASK = dict(block=64, ratio=0.7, weight=1.0, of='target', begin=0, ramp=0)


@MODELS.register_module()
class MIC(DAFormer):
    """DAFormer (or DACS), plus masked images: the student sees part of one and learns the teacher's labels of it all.

    Args:
        mask: ``block``, the side of the squares in pixels; ``ratio``, the share of them that is hidden; ``weight``
            λ_M; ``of``: ``'target'`` (augmented) or ``'both'`` (the first source image with its labels and the first
            target image, not augmented, as released for adverse weather). Not in the release: ``begin``, the first
            iteration, and ``ramp``, the iterations over which the weight grows from 0, if pseudo-labels start poor.
        **kwargs: :class:`~mmseg_adapt.methods.DAFormer`'s.

    Raises:
        UserError: If ``mask`` has an unknown key or a value outside its range.
    """

    def __init__(self, segmentor: dict, mask: dict | None = None, **kwargs) -> None:
        super().__init__(segmentor, **kwargs)
        if unknown := sorted(set(mask or {}) - set(MASK)):
            raise UserError(f'model.mask has {unknown}: its keys must be among {list(MASK)}')
        self.mask = {**MASK, **(mask or {})}
        if not 0 <= self.mask['ratio'] <= 1 or self.mask['block'] < 1 or self.mask['of'] not in ('target', 'both'):
            raise UserError("model.mask needs ratio in [0, 1], block of at least 1 and of = 'target' or 'both'")

    def lessons(self, source: Domain, target: Domain, generator: torch.Generator) -> Iterator[Lesson]:
        """DACS's lessons, and L_seg(S(mask ⊙ I_t), Ŷ; q)."""
        yield from super().lessons(source, target, generator)
        waited = self.clock.iteration - self.mask['begin']
        if waited < 0:
            return
        if self.mask['of'] == 'both':
            weight = torch.ones_like(target.weight)
            pairs = zip((source.images, source.labels, weight), target)
            images, labels, weight = (torch.stack([a[0], b[0]]) for a, b in pairs)
        else:
            images, labels, weight = self.augmented(target.images, generator, together=True), *target[1:]
        visible = draw_block_mask(len(images), images.shape[2:], self.mask['block'], self.mask['ratio'], generator)
        growth = min(1.0, (waited + 1) / self.mask['ramp']) if self.mask['ramp'] else 1.0
        yield Lesson('masked', hide(images, visible), labels, weight, importance=self.mask['weight'] * growth)
