"""The head that VFM-UDA++ (Englert and Dubbelman, arXiv 2503.10685) puts between student and frozen network."""

from __future__ import annotations

from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class FeatureProjection(nn.Sequential):
    """An MLP at every position: a layer of four times the width, LayerNorm, GELU, then the frozen network's width.

    Args:
        in_channels: channels of the student's features.
        out_channels: channels of the frozen network's features; by default the same number.

    Shape: (N, in_channels, h, w) → (N, out_channels, h, w).
    """

    def __init__(self, in_channels: int, out_channels: int | None = None) -> None:
        wide = 4 * in_channels
        super().__init__(
            nn.Linear(in_channels, wide),
            nn.LayerNorm(wide, eps=1e-6),
            nn.GELU(),
            nn.Linear(wide, out_channels or in_channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
