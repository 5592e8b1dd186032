"""DeepLabV2's ResNet: Chen et al., TPAMI 2018, arXiv 1606.00915, as AdaptSegNet's released code builds it."""

from __future__ import annotations

from mmseg.models.backbones import ResNet
from mmseg.registry import MODELS
from torch import nn


@MODELS.register_module()
class DeepLabV2ResNet(ResNet):
    """MMSegmentation's ``ResNet`` with DeepLabV2's defaults; key names and arguments do not change.

    Output stride 8 (the last two stages, including their first block, are dilated by 2 and 4 instead of strided), the
    stride in a bottleneck's first 1×1 convolution (``style='caffe'``), a max-pool that rounds up. BN has frozen weight
    and bias but stays in training mode. It normalises by the batch's statistics, so forward the domains separately.

    Shape: (N, 3, H, W) → four maps of stride 4, 8, 8, 8 with ``base_channels × (4, 8, 16, 32)`` channels if depth ≥ 50.
    """

    def __init__(
        self,
        depth: int = 101,
        *,
        style: str = 'caffe',
        strides: tuple[int, ...] = (1, 2, 1, 1),
        dilations: tuple[int, ...] = (1, 1, 2, 4),
        norm_cfg: dict | None = None,
        norm_eval: bool = False,
        **kwargs,
    ) -> None:
        norm_cfg = norm_cfg or dict(type='BN', requires_grad=False)
        super().__init__(
            depth,
            style=style,
            strides=strides,
            dilations=dilations,
            norm_cfg=norm_cfg,
            norm_eval=norm_eval,
            **kwargs,
        )

    def _make_stem_layer(self, in_channels: int, stem_channels: int) -> None:
        super()._make_stem_layer(in_channels, stem_channels)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1, ceil_mode=True)
