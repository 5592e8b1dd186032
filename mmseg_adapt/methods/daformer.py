"""Hoyer et al., "DAFormer: Improving Network Architectures and Training Strategies …", CVPR 2022, arXiv 2111.14887."""

from __future__ import annotations

from mmseg.registry import MODELS
from torch import Tensor, nn

from ..errors import UserError
from ..models.losses import labels_of
from .dacs import DACS
from .feature_distance import feature_distance, frozen_features
from .turn import unwrapped


@MODELS.register_module()
class DAFormer(DACS):
    """DACS, plus a loss that keeps the features of things near those of the ImageNet network (Sec. 3.3).

    The paper's third part, rare class sampling, is an order of the source stream:
    :class:`~mmseg_adapt.datasets.orders.RareClassOrder`.

    Args:
        feature_distance: ``dict(weight=0.005, classes=(6, 7, 11, …), min_ratio=0.75)``: λ_FD, the thing classes, and
            the minimum share of a cell that one class must cover. None gives DACS.
        **kwargs: :class:`~mmseg_adapt.methods.DACS`'s.

    Raises:
        UserError: If there is a feature distance, but the frozen network has no initial weights.
    """

    def __init__(self, segmentor: dict, feature_distance: dict | None = None, **kwargs) -> None:
        super().__init__(segmentor, **kwargs)
        self.feature_distance = None if feature_distance is None else dict(feature_distance)
        if self.feature_distance is None:
            return
        if not segmentor['backbone'].get('init_cfg'):
            raise UserError(
                'model.feature_distance compares with the initial network, so it needs its weights: set '
                'model.segmentor.backbone.init_cfg'
            )
        self.weight_fd = self.feature_distance.pop('weight')
        self.imagenet: nn.Module = MODELS.build(segmentor['backbone']).requires_grad_(False)

    def learn(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """L_seg(S(I_s), Y_s) + λ_FD ‖F_S(I_s) − F_ImageNet(I_s)‖."""
        if self.feature_distance is None:
            return super().learn(inputs, data_samples)
        anchor = frozen_features(self.imagenet, unwrapped(self.segmentor), inputs)
        outputs, labels = self.segmentor(inputs, mode='tensor'), labels_of(data_samples)
        distance = feature_distance(outputs['backbone'], anchor, labels, **self.feature_distance)
        return {**self.supervised(outputs, labels), 'loss_feature_distance': self.weight_fd * distance}

    def train(self, mode: bool = True) -> DAFormer:
        super().train(mode)
        if self.feature_distance is not None:
            self.imagenet.eval()
        return self
