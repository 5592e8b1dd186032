"""Tranheden et al., "DACS: Domain Adaptation via Cross-domain Mixed Sampling", WACV 2021, arXiv 2007.08702."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from mmseg.registry import MODELS
from torch import Tensor

from ..errors import UserError
from .augmentation import blur, draw_blur, draw_jitter, jitter
from .mixing import class_mask, draw_classes, mix
from .self_training import Domain, Lesson, SelfTraining


@MODELS.register_module()
class DACS(SelfTraining):
    """The student learns from mixtures: pixels of half of a source image's classes, pasted onto a target image.

    As in DAFormer's release of DACS, jitter and blur apply either to the whole batch or not at all, but every image
    has its own factors.

    Args:
        mix: ``'batch'``, as released: for every image, half of the classes in the source batch (including 255) are
            drawn. ``'image'``: half of the image's own classes, as in the paper and in DACS's own release.
        jitter: colour jitter of the mixtures, ``dict(strength=0.2, prob=0.8)``; None turns it off.
        blur: ``dict(prob=0.5)``, Gaussian, σ ~ U(0.15, 1.15) pixels; None turns it off.
        **kwargs: :class:`~mmseg_adapt.methods.self_training.SelfTraining`'s.

    Raises:
        UserError: If ``mix`` is unknown, or if there is ``jitter`` but the data preprocessor has no mean.
    """

    def __init__(
        self, segmentor: dict, mix: str = 'batch', jitter: dict | None = None, blur: dict | None = None, **kwargs
    ) -> None:
        super().__init__(segmentor, **kwargs)
        if mix not in ('batch', 'image'):
            raise UserError(f"model.mix = {mix!r} must be one of ['batch', 'image']")
        if jitter is not None and not hasattr(self.data_preprocessor, 'mean'):
            raise UserError('model.jitter needs the colour range: set mean and std of data_preprocessor')
        self.mix, self.jitter, self.blur = mix, jitter, blur

    def lessons(self, source: Domain, target: Domain, generator: torch.Generator) -> Iterator[Lesson]:
        """M ⊙ (I_s, Y_s, 1) + (1 − M) ⊙ (I_t, Ŷ, q), strongly augmented."""
        if source.images.shape[2:] != target.images.shape[2:]:
            sizes = ['×'.join(map(str, domain.images.shape[2:])) for domain in (source, target)]
            raise UserError(f'source and target cannot be mixed ({" and ".join(sizes)}): crop both to the same size')
        images, labels = source.images, source.labels
        if len(images) != len(target.images):  # every target image needs a source image
            partner = torch.arange(len(target.images), device=images.device) % len(images)
            images, labels = images[partner], labels[partner]
        mask = class_mask(labels, draw_classes(labels, generator, of=self.mix))
        mixed = self.augmented(mix(mask, images, target.images), generator)
        yield Lesson('mix', mixed, mix(mask, labels, target.labels), mix(mask, 1.0, target.weight), taught=~mask)

    def augmented(self, images: Tensor, generator: torch.Generator, together: bool = False) -> Tensor:
        """Colour jitter, then blur. ``together``: one order of the jitter and one σ for the batch, as in MIC."""
        if self.jitter is not None:
            draws = draw_jitter(len(images), generator=generator, one_order=together, **self.jitter)
            images = jitter(images, draws, self.data_preprocessor.mean, self.data_preprocessor.std)
        if self.blur is not None:
            images = blur(images, draw_blur(len(images), generator=generator, one_sigma=together, **self.blur))
        return images
