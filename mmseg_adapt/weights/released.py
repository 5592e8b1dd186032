"""The key formats of released DeepLabV2 adaptation models, and the matching names in ours.

AdaptSegNet (Tsai et al., CVPR 2018), ADVENT (Vu et al., CVPR 2019), CLAN (Luo et al., CVPR 2019) and the ImageNet +
COCO initialisation that all of them start from. Only this module knows their names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NoReturn

from torch import Tensor

from ..errors import UserError

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Layout:
    """A released format.

    Args:
        name: its name in the log.
        pairs: prefix of released keys → prefix of ours, inside the segmentor. If two released prefixes map to the same
            one, they are classifiers whose logits are summed, so their weights are summed.
    """

    name: str
    pairs: Pairs

    def ours(self, key: str) -> str | None:
        return _renamed(key, self.pairs)

    @property
    def classifiers(self) -> list[str]:
        return [theirs.split('.')[0] for theirs, _ in self.pairs if 'conv2d_list' in theirs]

    def released(self, key: str) -> str | None:
        return _renamed(key, tuple((ours, theirs) for theirs, ours in self.pairs))


def _renamed(key: str, pairs: Pairs) -> str | None:
    return next((new + key.removeprefix(old) for old, new in pairs if key.startswith(old)), None)


def _classifier(theirs: str, ours: str) -> tuple[str, str]:
    return f'{theirs}.conv2d_list.', f'{ours}.conv_seg.'


_RESNET = tuple((f'{part}.', f'backbone.{part}.') for part in ('conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4'))
# torchvision's numbers of the 13 convolutions; without pool4, as in the released VGG, conv5 moves up by one
_VGG_OURS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
VGG_RELEASED = (*_VGG_OURS[:10], 23, 25, 27, 29, 31)


def vgg_pairs(numbers: tuple[int, ...] = VGG_RELEASED) -> Pairs:
    """``numbers``: the numbers of the 15 convolutions in the released file, including fc6 and fc7."""
    ours = (*(f'backbone.features.{i}.' for i in _VGG_OURS), 'backbone.fc6.', 'backbone.fc7.')
    return (*((f'features.{i}.', name) for i, name in zip(numbers, ours)), _classifier('classifier', 'decode_head'))


_MULTI = (*_RESNET, _classifier('layer5', 'auxiliary_head'), _classifier('layer6', 'decode_head'))
_SINGLE = (*_RESNET, _classifier('layer5', 'decode_head'))

LAYOUTS = {
    'multi': Layout('AdaptSegNet or ADVENT, multi-level', _MULTI),
    'single': Layout('AdaptSegNet, single-level', _SINGLE),
    'advent_single': Layout('ADVENT, single-level', (*_RESNET, _classifier('layer6', 'decode_head'))),
    'clan': Layout(
        'CLAN, two classifiers on one level, whose logits are added',
        (*_RESNET, _classifier('layer5', 'decode_head'), _classifier('layer6', 'decode_head')),
    ),
    'init': Layout('DeepLab initialisation (ImageNet + COCO)', _SINGLE),
    'backbone': Layout('ResNet without a classifier', _RESNET),
    'vgg': Layout('AdaptSegNet, VGG-16', vgg_pairs()),
}
_DISCRIMINATOR_LAYERS = ('conv1', 'conv2', 'conv3', 'conv4', 'classifier')
DISCRIMINATORS = {
    'discriminator': Layout(
        'AdaptSegNet discriminator', tuple((f'{n}.', f'layers.{2 * i}.') for i, n in enumerate(_DISCRIMINATOR_LAYERS))
    ),
    'discriminator_advent': Layout(
        'ADVENT discriminator', tuple((f'{2 * i}.', f'layers.{2 * i}.') for i in range(len(_DISCRIMINATOR_LAYERS)))
    ),
}


def layout_of(kind: str, numbers: tuple[int, ...] = ()) -> Layout:
    """``numbers``: the numbers of a VGG file's convolutions, if they differ from the released ones."""
    return replace(LAYOUTS[kind], pairs=vgg_pairs(numbers)) if kind == 'vgg' and numbers else LAYOUTS[kind]


def stripped(state: dict[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """The common prefix of all keys, from ``module.`` (DataParallel) and ``Scale.`` (DeepLab init), and the rest."""
    prefix = ''
    for part in ('module.', 'Scale.', 'module.'):
        if all(key.startswith(prefix + part) for key in state):
            prefix += part
    return prefix, {key.removeprefix(prefix): value for key, value in state.items()}


def detect(state: dict[str, Tensor], prefix: str, path: str) -> str:
    """The entry of ``LAYOUTS`` that matches the keys and shapes of a file. Raises UserError: no entry matches."""
    if 'classifier.conv2d_list.0.weight' in state:
        return 'vgg' if len(vgg_numbers(state)) == len(VGG_RELEASED) else _unknown(state, path)
    layer3, layer4 = _width(state, 'layer3'), _width(state, 'layer4')
    if layer4 is None:
        _unknown(state, path)
    seen = {layer: _seen_channels(state, layer) for layer in ('layer5', 'layer6')}
    if seen == {'layer5': layer4, 'layer6': layer4}:
        return 'clan'
    if seen == {'layer5': layer3, 'layer6': layer4}:
        return 'multi'
    if seen == {'layer5': None, 'layer6': layer4}:
        return 'advent_single'
    if seen == {'layer5': layer4, 'layer6': None}:
        coco = 'Scale.' in prefix or classes(state, 'layer5') == 21  # PASCAL VOC's classes
        return 'init' if coco else 'single'
    return 'backbone' if seen == {'layer5': None, 'layer6': None} else _unknown(state, path)


def detect_discriminator(state: dict[str, Tensor], path: str) -> str:
    """The matching entry of ``DISCRIMINATORS``. Raises UserError: no entry matches."""
    for name, layout in DISCRIMINATORS.items():
        if {key.rsplit('.', 1)[0] + '.' for key in state} == {theirs for theirs, _ in layout.pairs}:
            return name
    raise UserError(f'{path} is not a discriminator of a released model: it has keys such as {min(state)}')


def _unknown(state: dict, path: str) -> NoReturn:
    if any(key.startswith(('segmentor.', 'backbone.')) for key in state):
        raise UserError(f'{path} is already in our format: use it directly')
    raise UserError(
        f'{path} is not a DeepLabV2 of AdaptSegNet, ADVENT, CLAN or the DeepLab initialisation: it has keys such as '
        f'{min(state)}'
    )


def vgg_numbers(state: dict[str, Tensor]) -> tuple[int, ...]:
    """The numbers of a file's convolutions, in order."""
    return tuple(sorted(int(key.split('.')[1]) for key in state if re.fullmatch(r'features\.\d+\.weight', key)))


def _width(state: dict[str, Tensor], stage: str) -> int | None:
    """Output channels of a residual stage."""
    norms = [state[key] for key in (f'{stage}.0.bn3.weight', f'{stage}.0.bn2.weight') if key in state]
    return len(norms[0]) if norms else None


def _seen_channels(state: dict[str, Tensor], layer: str) -> int | None:
    weight = state.get(f'{layer}.conv2d_list.0.weight')
    return None if weight is None or weight.ndim != 4 else weight.shape[1]


def classes(state: dict[str, Tensor], layer: str) -> int:
    return state[f'{layer}.conv2d_list.0.weight'].shape[0]
