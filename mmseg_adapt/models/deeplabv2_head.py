"""DeepLabV2's classifier: Chen et al., TPAMI 2018, arXiv 1606.00915, Sec. 3.2 ("ASPP")."""

from __future__ import annotations

from collections.abc import Sequence

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class DeepLabV2Head(BaseDecodeHead):
    """The sum of parallel dilated 3×3 convolutions, directly from features to classes.

    Weights N(0, 0.01), no dropout. AdaptSegNet's paper has four rates; its released code applies only the first two.

    Unlike ``BaseDecodeHead``, ``align_corners`` defaults to True, ``dropout_ratio`` to 0, and the loss averages over
    valid pixels only.

    Args:
        in_channels: channels of the features at ``in_index``.
        dilations: one convolution per rate.

    Shape: (N, in_channels, h, w) → logits (N, num_classes, h, w).
    """

    def __init__(
        self,
        in_channels: int,
        dilations: Sequence[int] = (6, 12, 18, 24),
        *,
        dropout_ratio: float = 0.0,
        align_corners: bool = True,
        loss_decode: dict | list | None = None,
        init_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        loss_decode = loss_decode or dict(type='CrossEntropyLoss', avg_non_ignore=True)
        super().__init__(
            in_channels,
            channels=in_channels,
            dropout_ratio=dropout_ratio,
            align_corners=align_corners,
            loss_decode=loss_decode,
            init_cfg=init_cfg,
            **kwargs,
        )
        self.conv_seg = nn.ModuleList(
            nn.Conv2d(in_channels, self.out_channels, 3, padding=rate, dilation=rate) for rate in dilations
        )
        for conv in self.conv_seg:
            nn.init.normal_(conv.weight, std=0.01)

    def cls_seg(self, feat: Tensor) -> Tensor:
        if self.dropout is not None:
            feat = self.dropout(feat)
        return sum(conv(feat) for conv in self.conv_seg)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.cls_seg(self._transform_inputs(inputs))
