"""DeepLabV2's VGG-16: Chen et al., TPAMI 2018, arXiv 1606.00915, as AdaptSegNet's released code builds it."""

from __future__ import annotations

from mmengine.model import BaseModule, Sequential
from mmseg.registry import MODELS
from torch import Tensor, nn

# conv blocks of VGG-16: (number of convolutions, channels); torchvision numbers the layers of `features` in this order
_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


@MODELS.register_module()
class DeepLabV2VGG(BaseModule):
    """VGG-16 with output stride 8: no pool4 and pool5, conv5 dilated by 2, fc6 and fc7 as dilated convolutions.

    ``features`` keeps torchvision's key names; an identity replaces pool4.

    Args:
        init_cfg: initialises ``features``; for torchvision's file
            ``dict(type='Pretrained', checkpoint='torchvision://vgg16', prefix='features.')``.
        fc_channels: width of fc6 and fc7, 1024 as published.
        fc_dilation: their dilation, 4 as published.

    Shape: (N, 3, H, W) → one map (N, fc_channels, H/8, W/8), in a tuple like every MMSegmentation backbone.
    """

    def __init__(self, fc_channels: int = 1024, fc_dilation: int = 4, init_cfg: dict | None = None) -> None:
        super().__init__()
        layers, channels = [], 3
        for block, (convs, width) in enumerate(_BLOCKS, start=1):
            dilation = 2 if block == 5 else 1
            for _ in range(convs):
                conv = nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation)
                layers += [conv, nn.ReLU(inplace=True)]
                channels = width
            if block < 5:
                layers.append(nn.MaxPool2d(2, 2) if block < 4 else nn.Identity())
        self.features = Sequential(*layers, init_cfg=init_cfg)
        self.fc6 = nn.Conv2d(channels, fc_channels, 3, padding=fc_dilation, dilation=fc_dilation)
        self.fc7 = nn.Conv2d(fc_channels, fc_channels, 3, padding=fc_dilation, dilation=fc_dilation)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        x = self.features(x)
        x = self.relu(self.fc6(x))
        return (self.relu(self.fc7(x)),)
