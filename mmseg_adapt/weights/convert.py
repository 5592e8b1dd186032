"""Released checkpoints → ours, tensor by tensor; :mod:`.released` has the names of both."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import UserError
from . import released
from .load import tensors_of
from .released import DISCRIMINATORS


@dataclass
class Conversion:
    """A converted state_dict, and what happened to each tensor."""

    name: str  # of the detected format
    state: dict[str, Tensor]
    used: dict[str, str]  # released key → ours
    unused: dict[str, str]  # released key → why
    missing: list[str] = field(default_factory=list)  # keys of the target that are not in the file


def convert(
    source: dict,
    path: str,
    own: dict[str, Tensor] | None = None,
    branches: int | None = None,
    drop_classifier: bool = False,
) -> Conversion:
    """Convert a released segmentor to our names.

    Args:
        source: the result of :func:`~mmseg_adapt.weights.read_checkpoint` for ``path``.
        own: state_dict of the target segmentor. Without it, every tensor that has a name of ours is used.
        branches: number of dilated convolutions to apply per classifier. The code of AdaptSegNet and CLAN creates four
            and applies the first two, that of ADVENT applies all four, and the file does not say which. By default as
            many as ``own`` has, or all without ``own``. ``unused`` lists the others.
        drop_classifier: convert the backbone only.

    Raises:
        UserError: the file is from another network, has another number of classes, or has a classifier that does not
            fit the target.
    """
    prefix, state = released.stripped(tensors_of(source, path))
    kind = released.detect(state, prefix, path)
    layout = released.layout_of(kind, released.vgg_numbers(state))
    unused = {key: 'not part of a segmentor' for key in state if layout.ours(key) is None}
    heads = {layer: layout.ours(f'{layer}.conv2d_list.').split('.')[0] for layer in layout.classifiers}
    for layer, head in heads.items():
        for key, why in _set_aside(state, layer, head, kind, path, own, branches, drop_classifier).items():
            unused.setdefault(key, why)
    ours: dict[str, Tensor] = {}
    used = {key: layout.ours(key) for key in state if key not in unused}
    for key, place in used.items():
        ours[place] = ours[place] + state[key] if place in ours else state[key]
    if own is not None:
        _silence_idle_branches(ours, own)
    return Conversion(layout.name, ours, used, unused, _missing(ours, own, path))


def _set_aside(state, layer, head, kind, path, own, branches, drop_classifier) -> dict[str, str]:
    """Keys of one classifier that are not used → why."""
    keys = [key for key in state if key.startswith(f'{layer}.')]
    count = released.classes(state, layer)
    wanted = None if own is None or f'{head}.conv_seg.0.bias' not in own else len(own[f'{head}.conv_seg.0.bias'])
    if drop_classifier or (kind == 'init' and wanted != count):
        return dict.fromkeys(keys, f'classifier of {count} classes, dropped')
    if own is not None and wanted is None:
        return dict.fromkeys(keys, f'the config has no DeepLabV2 {head}')
    if wanted not in (None, count):
        raise UserError(
            f'{path} predicts {count} classes, but the config has {wanted}: use a config with num_classes={count}, or '
            'pass --drop-classifier to convert the backbone only'
        )
    if own is not None and (branches or 0) > (room := _branches(own, head)):
        raise UserError(
            f'--branches {branches} is too large, because {head} of the config has {room} dilated convolutions: set '
            f'model.segmentor.{head}.dilations=(6, 12, 18, 24)'
        )
    acting = branches or (_branches(own, head) if own is not None else 4)
    return {key: 'not applied (--branches)' for key in keys if int(key.split('.')[2]) >= acting}


def _branches(own: dict[str, Tensor], head: str) -> int:
    return sum(key.startswith(f'{head}.conv_seg.') and key.endswith('.weight') for key in own)


def _silence_idle_branches(ours: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    """Set unused branches to zero. They then add nothing, so a config with more branches predicts the same."""
    heads = {key.split('.conv_seg.')[0] for key in ours if '.conv_seg.' in key}
    for key, value in own.items():
        if '.conv_seg.' in key and key.split('.conv_seg.')[0] in heads and key not in ours:
            ours[key] = torch.zeros(value.shape)


def _missing(ours: dict[str, Tensor], own: dict[str, Tensor] | None, path: str) -> list[str]:
    missing = [k for k in own or () if k not in ours and not k.endswith('num_batches_tracked')]
    wrong = [k for k in missing if k.startswith('backbone.')]
    wrong += [k for k in ours if own is not None and (k not in own or own[k].shape != ours[k].shape)]
    if wrong:
        raise UserError(
            f'{path} belongs to another network: {wrong[0]} of the config is missing in it, or has another shape: '
            'check depth and type of the backbone'
        )
    return missing


def convert_discriminator(source: dict, path: str, classes: int | None = None) -> Conversion:
    """Convert a released discriminator. Raises UserError: another network, another number of ``classes``."""
    _, state = released.stripped(tensors_of(source, path))
    kind = released.detect_discriminator(state, path)
    used = {key: DISCRIMINATORS[kind].ours(key) for key in state}
    ours = {used[key]: value for key, value in state.items()}
    seen = ours['layers.0.weight'].shape[1]
    if classes not in (None, seen):
        raise UserError(f'{path} is a discriminator for {seen} classes, but the segmentor has {classes}: use another')
    return Conversion(DISCRIMINATORS[kind].name, ours, used, {})
