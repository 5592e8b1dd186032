"""The fixed networks whose features AAN compares: named layers of a ResNet-50 or a VGG-16."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence

import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.logging import MMLogger
from mmengine.model import BaseModule, Sequential
from mmseg.models.backbones import ResNet
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..errors import UserError
from ..random_state import seeded
from .colour import COLOUR, colour_features

CAFFE_MEAN = (104.00698793, 116.66876762, 122.67891434)  # BGR


class StyleEncoder(BaseModule):
    """Images in, features of named layers out. Always in evaluation mode; the weights are never trained.

    Args:
        layers: names of the layers to return. Layers after the deepest one are not built. Unlike the paper, there is
            also ``'colour'``: the pixels and a constant map. Its Gram matrix contains the mean and the covariance of
            the colours, which the convolutions of some networks hardly represent.
        mean, std: per channel, in 0–255, in the network's channel order.
        bgr_to_rgb: whether the network expects RGB.
    Shape: BGR 0–255 (N, 3, H, W) → layer → (N, C, h, w), after the layer's ReLU.

    Raises:
        UserError: If there is no layer, or the network does not have one.
    """

    def __init__(
        self,
        layers: Sequence[str],
        mean: Sequence[float] = CAFFE_MEAN,
        std: Sequence[float] = (1.0, 1.0, 1.0),
        bgr_to_rgb: bool = False,
    ) -> None:
        super().__init__()
        known = [COLOUR, *self.known_layers()]
        if unknown := [name for name in layers if name not in known]:
            raise UserError(
                f'aan.encoder.layers has {unknown}, but {type(self).__name__} has {known[0]}, {known[1]}, … {known[-1]}'
            )
        if not set(layers) - {COLOUR}:
            raise UserError(f'aan.encoder.layers = {list(layers)} must list a layer of {type(self).__name__}')
        for name, numbers in (('mean', mean), ('std', std)):
            if len(numbers) != 3:
                raise UserError(f'aan.encoder.{name} = {list(numbers)}: write three numbers, one per channel')
        self.layers = tuple(sorted(layers, key=known.index))
        self.bgr_to_rgb = bgr_to_rgb
        self._fingerprint: str | None = None
        self.register_buffer('mean', torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer('std', torch.tensor(std).view(1, 3, 1, 1))

    @classmethod
    def known_layers(cls) -> Iterator[str]:
        """Names of all layers, shallow to deep."""
        raise NotImplementedError

    def stages(self) -> Iterator[tuple[str, nn.Module]]:
        """(name, module) in the order of application. Names that are not layers are not returned."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = {}
        if COLOUR in self.layers:
            features[COLOUR] = colour_features(images)
        x = images.flip(1) if self.bgr_to_rgb else images
        x = (x - self.mean) / self.std
        for name, module in self.stages():
            x = module(x)
            if name in self.layers:
                features[name] = x
            if name == self.layers[-1]:
                break
        return features

    def train(self, mode: bool = True) -> StyleEncoder:
        return super().train(False)

    def fold(self) -> None:
        """Make the loaded network cheaper. Features change by rounding only, the fingerprint does not change."""

    def fingerprint(self) -> str:
        """Changes with the weights, the layers and the normalisation of the input."""
        if self._fingerprint:
            return self._fingerprint
        digest = hashlib.sha256(repr((type(self).__name__, self.layers, self.bgr_to_rgb)).encode())
        for name, tensor in self.state_dict().items():
            digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


@MODELS.register_module()
class ResNetStyleEncoder(StyleEncoder):
    """ResNet-50 with Caffe's layer names: ``conv1``, then ``res2a`` … ``res5c``, one per bottleneck.

    It is MMSegmentation's ``ResNet`` with the same arguments and key names (also torchvision's). The defaults fit
    Caffe-style weights such as ``open-mmlab://detectron2/resnet50_caffe``. For ``torchvision://resnet50`` set
    ``style='pytorch', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True``.

    Args:
        layers: by default those of the paper.
        style: ``'caffe'`` (the stride in a bottleneck's first 1×1 convolution) or ``'pytorch'``.
        stem_channels, base_channels: widths.
    """

    BLOCKS = (3, 4, 6, 3)

    def __init__(
        self,
        layers: Sequence[str] = ('conv1', 'res2c', 'res3d', 'res4f', 'res5c'),
        style: str = 'caffe',
        stem_channels: int = 64,
        base_channels: int = 64,
        init_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(layers, **kwargs)
        stages = max(1, int(re.sub(r'\D', '', self.layers[-1])) - 1)
        self.backbone = ResNet(
            50,
            stem_channels=stem_channels,
            base_channels=base_channels,
            num_stages=stages,
            strides=(1, 2, 2, 2)[:stages],
            dilations=(1, 1, 1, 1)[:stages],
            out_indices=(stages - 1,),
            style=style,
            init_cfg=init_cfg,
        )
        self.eval()

    def fold(self) -> None:
        """Fold batch normalisation into the convolutions."""
        self._fingerprint = self.fingerprint()
        fuse_conv_bn(self.backbone)

    @classmethod
    def known_layers(cls) -> Iterator[str]:
        yield 'conv1'
        for stage, blocks in enumerate(cls.BLOCKS, start=2):
            yield from (f'res{stage}{"abcdef"[block]}' for block in range(blocks))

    def stages(self) -> Iterator[tuple[str, nn.Module]]:
        net = self.backbone
        yield 'conv1', nn.Sequential(net.conv1, net.norm1, net.relu)
        yield 'pool1', net.maxpool
        names = list(self.known_layers())[1:]
        yield from zip(names, (block for name in net.res_layers for block in getattr(net, name)))


@MODELS.register_module()
class VGGStyleEncoder(StyleEncoder):
    """VGG-16 with layer names ``relu1_1`` … ``relu5_3`` (after the ReLU) and torchvision's key names.

    Args:
        layers: by default the last layer of every block; the paper uses a ResNet's stages.
        init_cfg: for torchvision's file ``dict(type='Pretrained', checkpoint='torchvision://vgg16',
            prefix='features.')``; without ``prefix`` for a file that contains only the features.
        mean, std, bgr_to_rgb: by default torchvision's.
    """

    BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))

    def __init__(
        self,
        layers: Sequence[str] = ('relu1_2', 'relu2_2', 'relu3_3', 'relu4_3', 'relu5_3'),
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        bgr_to_rgb: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(layers, mean, std, bgr_to_rgb)
        modules, channels = [], 3
        for name in self._all_stages():
            if name.startswith('conv'):
                width = dict(enumerate((w for _, w in self.BLOCKS), start=1))[int(name[4])]
                modules.append(nn.Conv2d(channels, width, 3, padding=1))
                channels = width
            else:
                modules.append(nn.ReLU(inplace=True) if name.startswith('relu') else nn.MaxPool2d(2, 2))
            if name == self.layers[-1]:
                break
        self.features = Sequential(*modules, init_cfg=init_cfg)

    @classmethod
    def _all_stages(cls) -> Iterator[str]:
        for block, (convs, _) in enumerate(cls.BLOCKS, start=1):
            for i in range(1, convs + 1):
                yield f'conv{block}_{i}'
                yield f'relu{block}_{i}'
            yield f'pool{block}'

    @classmethod
    def known_layers(cls) -> Iterator[str]:
        return (name for name in cls._all_stages() if name.startswith('relu'))

    def stages(self) -> Iterator[tuple[str, nn.Module]]:
        return zip(self._all_stages(), self.features)


def build_encoder(cfg: dict) -> StyleEncoder:
    """Build the encoder of a config and load its weights, frozen. Random weights are the same in every process.

    Raises:
        UserError: the file does not have all weights of the encoder (mmengine would warn and keep random ones).
    """
    with seeded(0):
        encoder = MODELS.build(cfg).eval()
    if cfg.get('init_cfg'):
        _load(encoder, cfg['init_cfg'].get('checkpoint'))
    encoder.fold()
    return encoder.requires_grad_(False)


def _load(encoder: StyleEncoder, checkpoint: str | None) -> None:
    """Load the weights of ``init_cfg``. Raises: UserError: some are missing."""
    weights = [(n, t) for n, t in encoder.state_dict().items() if t.is_floating_point() and n not in ('mean', 'std')]
    for _, tensor in weights:
        tensor.fill_(torch.nan)
    logger = MMLogger.get_current_instance()  # mmengine logs every tensor
    level = logger.level
    logger.setLevel('ERROR')
    try:
        encoder.init_weights()
    finally:
        logger.setLevel(level)
    if missing := [name for name, tensor in weights if tensor.isnan().any()]:
        raise UserError(
            f'{checkpoint} has no {missing[0].split(".", 1)[1]} of the right shape (and '
            f'{len(missing) - 1} more are missing): use weights of this encoder, or set aan.encoder.init_cfg.prefix'
        )
