"""DAFormer's decoder, context-aware multi-level feature fusion: Hoyer et al., CVPR 2022, arXiv 2111.14887, Sec. 3.2."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.decode_heads.sep_aspp_head import DepthwiseSeparableASPPModule
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class DAFormerHead(BaseDecodeHead):
    """Embed all stages, resize them to the first, apply one separable ASPP, then a 3×3 convolution.

    No image pooling; BN and ReLU after every convolution of the ASPP; dropout 0.1 before the classifier.

    Args:
        in_channels: channels of every stage in ``in_index``; the default is MiT-B5's.
        embed_channels: channels of each embedded stage.
        channels: channels of the ASPP's branches and of the classifier's input.
        dilations: dilations of the ASPP; 1 is a 1×1 convolution. None replaces the ASPP and the convolution after it by
            a single 1×1 convolution, as in HRDA's attention head.

    Shape: maps (N, in_channels[i], h_i, w_i) → logits (N, num_classes, h_0, w_0).
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (64, 128, 320, 512),
        *,
        embed_channels: int = 256,
        channels: int = 256,
        dilations: Sequence[int] | None = (1, 6, 12, 18),
        in_index: Sequence[int] | None = None,
        norm_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(
            list(in_channels),
            channels=channels,
            in_index=list(in_index or range(len(in_channels))),
            input_transform='multiple_select',
            norm_cfg=norm_cfg or dict(type='BN'),
            **kwargs,
        )
        self.embed_layers = nn.ModuleList(nn.Conv2d(width, embed_channels, 1) for width in self.in_channels)
        fused = embed_channels * len(self.in_channels)
        layers = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.aspp_modules = None
        if dilations is None:
            self.bottleneck = ConvModule(fused, channels, 1, **layers)
            return
        self.aspp_modules = DepthwiseSeparableASPPModule(
            dilations=tuple(dilations), in_channels=fused, channels=channels, **layers
        )
        self.bottleneck = ConvModule(channels * len(dilations), channels, 3, padding=1, **layers)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        stages = self._transform_inputs(inputs)
        size = stages[0].shape[2:]
        embedded = [embed(stage) for embed, stage in zip(self.embed_layers, stages)]
        for i, e in enumerate(embedded):
            if e.shape[2:] != size:
                embedded[i] = resize(e, size, mode='bilinear', align_corners=self.align_corners)
        x = torch.cat(embedded, 1)
        del embedded
        if self.aspp_modules is not None:
            x = torch.cat(self.aspp_modules(x), 1)
        return self.cls_seg(self.bottleneck(x))
