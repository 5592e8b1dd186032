"""Domain discriminators: maps of raw scores, high for 'target' and low for 'source'; no sigmoid."""

from __future__ import annotations

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..errors import UserError


@MODELS.register_module()
class OutputSpaceDiscriminator(BaseModule):
    """AdaptSegNet's fully convolutional discriminator (Sec. 4.1): 4×4 convolutions of stride 2, LeakyReLU 0.2, no BN.

    Args:
        in_channels: channels of what it sees: the number of classes, or of features for the feature-level baseline.
        base_channels: width of the first layer; the layers have 1, 2, 4, 8 times as many channels, then one.
        upsample: upsample the scores to the size of the input, as the paper's text has it and the released code not.

    Shape: (N, in_channels, H, W) → (N, 1, H/32, W/32), rounded down at each layer; (N, 1, H, W) with ``upsample``.
    """

    def __init__(
        self, in_channels: int, base_channels: int = 64, upsample: bool = False, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.upsample = upsample
        widths = [in_channels, *(base_channels * 2**i for i in range(4))]
        layers: list[nn.Module] = []
        for narrow, wide in zip(widths, widths[1:]):
            layers += [nn.Conv2d(narrow, wide, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, stride=2, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != self.in_channels:
            raise UserError(
                f'a discriminator with in_channels = {self.in_channels} was shown {x.shape[1]} channels: '
                f'set in_channels = {x.shape[1]} in model.discriminator'
            )
        if min(x.shape[2:]) < 32:
            raise UserError(
                f'a discriminator of stride 32 was shown a map of {x.shape[2]}×{x.shape[3]}: '
                'use larger images, or a smaller discriminator'
            )
        score = self.layers(x)
        if self.upsample:
            score = F.interpolate(score, size=x.shape[2:], mode='bilinear', align_corners=True)
        return score
