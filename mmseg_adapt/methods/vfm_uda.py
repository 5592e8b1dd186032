"""Englert et al., "Exploring the Benefits of Vision Foundation Models for UDA", CVPRW 2024, arXiv 2406.09896, and
Englert and Dubbelman, "VFM-UDA++", ICCVW 2025, arXiv 2503.10685."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from mmseg.registry import MODELS
from mmseg.utils import add_prefix
from torch import Tensor

from ..errors import UserError
from ..models.losses import labels_of
from .feature_distance import cosine_distance, frozen_features
from .mic import MIC
from .self_training import Domain, Lesson
from .turn import unwrapped

TARGET = 'target'  # the lesson without labels


@MODELS.register_module()
class VFMUDA(MIC):
    """DACS with masked images on a vision foundation model, with a loss that keeps features near their initial values.

    The distance is 0.9 · (1 − cos) + 0.1 · smooth L1 between a projection of the student's features and the frozen
    encoder's features, over the whole image, on source and target. Unlike the release, the frozen encoder sees the
    augmented source, like the student; pseudo-labels use one view, not two flips; blocks are hidden, not tokens.

    Args:
        feature_distance: ``dict(weight=0.1)``, applied to each domain; None gives VFM-UDA.
        **kwargs: :class:`~mmseg_adapt.methods.MIC`'s.

    Raises:
        UserError: If there is a feature distance, but no ``segmentor.projection`` or no initial weights.
    """

    def __init__(self, segmentor: dict, feature_distance: dict | None = None, **kwargs) -> None:
        super().__init__(segmentor, feature_distance=feature_distance, **kwargs)
        if feature_distance and not hasattr(self.segmentor, 'projection'):
            raise UserError(
                'model.feature_distance compares projected features: set model.segmentor.projection = '
                "dict(type='FeatureProjection', in_channels=768), where 768 is the width of the backbone"
            )

    def learn(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """L_seg(S(I_s), Y_s) + λ d(proj(F_S(I_s)), F_frozen(I_s))."""
        if self.feature_distance is None:
            return super().learn(inputs, data_samples)
        anchor = frozen_features(self.imagenet, unwrapped(self.segmentor), inputs)
        outputs = self.segmentor(inputs, mode='tensor')
        return {**self.supervised(outputs, labels_of(data_samples)), **self.distance(outputs, anchor)}

    def lessons(self, source: Domain, target: Domain, generator: torch.Generator) -> Iterator[Lesson]:
        """First the target's features, which must not be last since they give the heads no gradient; then MIC's."""
        if self.feature_distance is not None:
            yield Lesson(TARGET, *target)
        yield from super().lessons(source, target, generator)

    def study(self, lesson: Lesson) -> dict[str, Tensor]:
        """λ d(proj(F_S(I_t)), F_frozen(I_t)), or the losses of MIC's lesson."""
        if lesson.name != TARGET:
            return {**super().study(lesson), **self.idle({})}
        anchor = frozen_features(self.imagenet, unwrapped(self.segmentor), lesson.images)
        return add_prefix(self.distance(self.segmentor(lesson.images, mode='tensor', levels=()), anchor), TARGET)

    def distance(self, outputs: dict[str, Tensor], anchor: Tensor) -> dict[str, Tensor]:
        return {'loss_feature_distance': self.weight_fd * cosine_distance(outputs['projected'], anchor)}
