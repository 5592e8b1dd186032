"""Tsai et al., "Learning to Adapt Structured Output Space for Semantic Segmentation", CVPR 2018, arXiv 1802.10349."""

from __future__ import annotations

from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor

from ..errors import UserError
from ..models.probabilities import class_probabilities
from .adversarial import AdversarialAdapter
from .turn import unwrapped


@MODELS.register_module()
class AdaptSegNet(AdversarialAdapter):
    """Output-space adaptation: D sees the class probabilities at image size (Sec. 3, Eq. 1, 2 and 4).

    One discriminator gives the single-level method; ``'decode'`` and ``'aux'`` give the multi-level one (Sec. 3.3,
    Eq. 5). Arguments: :class:`~mmseg_adapt.methods.AdversarialAdapter`.

    Raises:
        UserError: If the ``in_channels`` of a discriminator is not the number of classes, or it is on ``'backbone'``.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        classes = max(2, self.segmentor.out_channels)  # one output means two classes: 1 − p and p
        for level in self.lambda_adv:
            if level == 'backbone':
                raise UserError("AdaptSegNet adapts class probabilities: use 'decode' and 'aux', or FeatureAdaptation")
            if (channels := getattr(self.discriminator[level], 'in_channels', classes)) != classes:
                raise UserError(
                    f'model.discriminator.{level}.in_channels = {channels}, but the segmentor predicts {classes} '
                    f'classes: set it to {classes}'
                )

    def view(self, output: Tensor, image_size: tuple[int, int]) -> Tensor:
        """P, the class probabilities of the logits upsampled to image size: (N, C, h, w) → (N, C, H, W)."""
        align_corners = unwrapped(self.segmentor).align_corners
        logits = resize(output, size=image_size, mode='bilinear', align_corners=align_corners, warning=False)
        return class_probabilities(logits)


@MODELS.register_module()
class FeatureAdaptation(AdversarialAdapter):
    """The paper's baseline (Sec. 4, "feature"): D sees the features themselves, usually at level ``'backbone'``."""

    def view(self, output: Tensor, image_size: tuple[int, int]) -> Tensor:
        """(N, C, h, w), unchanged."""
        return output
