"""Domain discriminators: they return maps of raw scores, high for 'target' and low for 'source', without sigmoid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..errors import UserError


@MODELS.register_module()
class OutputSpaceDiscriminator(BaseModule):
    """AdaptSegNet's fully convolutional discriminator (Sec. 4.1): 4×4 convolutions of stride 2, LeakyReLU 0.2, no BN.

    Args:
        in_channels: channels of its input: the number of classes, or of features for the feature-level baseline.
        base_channels: width of the first layer; the layers have 1, 2, 4, 8 times as many channels, then one.
        upsample: upsample the scores to the input size, as in the paper's text but not in the released code.

    Shape: (N, in_channels, H, W) → (N, 1, H/32, W/32), rounded down at each layer; (N, 1, H, W) with ``upsample``.

    Raises:
        UserError: In the first iteration, if the number of channels differs, or the map is smaller than 32×32.
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
        check_channels(x, self.in_channels)
        if min(x.shape[2:]) < 32:
            raise UserError(
                f'the discriminator has stride 32, but its input is only {x.shape[2]}×{x.shape[3]}: '
                'use larger images, or a smaller discriminator'
            )
        score = self.layers(x)
        if self.upsample:
            score = F.interpolate(score, size=x.shape[2:], mode='bilinear', align_corners=True)
        return score


@MODELS.register_module()
class RegionDiscriminator(BaseModule):
    """FCAN's discriminator (Sec. 3.2): scores every region of a feature map, using several dilation rates ("ASPP").

    Parallel dilated 3×3 convolutions are concatenated; a 1×1 convolution gives one score. The paper does not state the
    kernel size or any activation between them: we use 3×3 as in DeepLab's ASPP, and no activation.

    The ablation's region-level discriminator without ASPP ("Conv") has one rate: ``dilations=(1,), channels=512`` has
    the same width and number of parameters as the default, so that only the rates differ.

    Args:
        in_channels: channels of the feature map.
        channels: width of each branch.
        dilations: one branch per rate.

    Shape: (N, in_channels, h, w) → (N, 1, h, w).

    Raises:
        UserError: If there is no rate, or one is below 1; in the first iteration, if the number of channels differs.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int = 128,
        dilations: Sequence[int] = (1, 2, 3, 4),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not dilations or min(dilations) < 1:
            raise UserError(
                f'RegionDiscriminator.dilations = {tuple(dilations)}: list one or more rates, each at least 1'
            )
        self.in_channels = in_channels
        self.branches = nn.ModuleList(
            nn.Conv2d(in_channels, channels, 3, padding=rate, dilation=rate) for rate in dilations
        )
        self.score = nn.Conv2d(channels * len(dilations), 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        check_channels(x, self.in_channels)
        return self.score(torch.cat([branch(x) for branch in self.branches], dim=1))


@MODELS.register_module()
class ImageDiscriminator(BaseModule):
    """The image-level discriminator of FCAN's ablation ("ADA"): one score for the whole image.

    The mean over the feature map, a hidden layer and a score. The paper gives no sizes: ``channels`` equals the total
    width of the four branches of :class:`RegionDiscriminator`.

    Shape: (N, in_channels, h, w) → (N, 1, 1, 1).

    Raises:
        UserError: In the first iteration, if the number of channels differs.
    """

    def __init__(self, in_channels: int, channels: int = 512, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.layers = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(in_channels, channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        check_channels(x, self.in_channels)
        return self.layers(x)


def check_channels(x: Tensor, in_channels: int) -> None:
    """Raises: UserError: If C of ``x`` (N, C, h, w) is not ``in_channels``; the message names the key to change."""
    if x.shape[1] != in_channels:
        raise UserError(
            f'the discriminator has in_channels = {in_channels}, but its input has {x.shape[1]} channels: '
            f'set in_channels = {x.shape[1]} in model.discriminator'
        )
