"""Released checkpoints ↔ ours, tensor for tensor; the names of both stand in :mod:`.released`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import UserError
from . import released
from .load import tensors_of
from .released import DISCRIMINATORS, Layout

PLAYER = 'segmentor.'


@dataclass
class Conversion:
    """A converted state_dict and what became of every tensor."""

    name: str  # of the format that was found
    state: dict[str, Tensor]
    used: dict[str, str]  # released key → ours
    unused: dict[str, str]  # released key → why
    missing: list[str] = field(default_factory=list)  # keys of the target that the file does not have
    origin: dict = field(default_factory=dict)  # what the way back needs: format, prefix, tensors without a place here


def convert(
    source: dict,
    path: str,
    own: dict[str, Tensor] | None = None,
    branches: int | None = None,
    drop_classifier: bool = False,
) -> Conversion:
    """A released segmentor in our names.

    Args:
        source: what :func:`~mmseg_adapt.weights.read_checkpoint` returned for ``path``.
        own: state_dict of the segmentor that it is for; without one, everything that has a name of ours is taken.
        branches: how many of a classifier's convolutions act; by default those that have been trained.
        drop_classifier: take the backbone only.

    Raises:
        UserError: a file of another network, another class count, or a classifier that the target cannot hold.
    """
    prefix, state = released.stripped(tensors_of(source, path))
    kind = released.detect(state, prefix, path, branches)
    layout = released.layout_of(kind, released.vgg_numbers(state))
    unused = {key: 'no part of a segmentor' for key in state if layout.ours(key) is None}
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
    back = {layout.released(key): value for key, value in ours.items()}
    origin = dict(
        format=kind,
        prefix=prefix,
        numbers=list(released.vgg_numbers(state)),
        kept={k: v for k, v in state.items() if k not in back or not _equal(back[k], v)},
    )
    return Conversion(layout.name, ours, used, unused, _missing(ours, own, path), origin)


def _set_aside(state, layer, head, kind, path, own, branches, drop_classifier) -> dict[str, str]:
    """Keys of one classifier that are not taken → why."""
    keys = [key for key in state if key.startswith(f'{layer}.')]
    count = released.classes(state, layer)
    wanted = None if own is None or f'{head}.conv_seg.0.bias' not in own else len(own[f'{head}.conv_seg.0.bias'])
    if drop_classifier or (kind == 'init' and wanted != count):
        return dict.fromkeys(keys, f'classifier of {count} classes, dropped')
    if own is not None and wanted is None:
        return dict.fromkeys(keys, f'the config has no {head} of DeepLabV2')
    if wanted not in (None, count):
        raise UserError(
            f'{path} predicts {count} classes, the config {wanted}: use a config with num_classes={count}, or pass '
            '--drop-classifier to take the backbone only'
        )
    acting = branches or released.acting_branches(state, layer)
    if own is not None and acting > (room := _branches(own, head)):
        raise UserError(
            f'{path}: {acting} dilated convolutions of {layer} have been trained, the config has {room}: set '
            f'model.segmentor.{head}.dilations=(6, 12, 18, 24), or pass --branches {room} if the others never acted'
        )
    idle = [key for key in keys if int(key.split('.')[2]) >= acting]
    return dict.fromkeys(idle, 'beyond the convolutions that act')


def _branches(own: dict[str, Tensor], head: str) -> int:
    return sum(key.startswith(f'{head}.conv_seg.') and key.endswith('.weight') for key in own)


def _silence_idle_branches(ours: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    """A convolution of zeros adds nothing: a config with more branches than the file's that act predicts the same."""
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
            f'{path} is the file of another network: {wrong[0]} of the config is not in it, or is of another shape: '
            'check depth and type of the backbone'
        )
    return missing


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and torch.equal(a, b)


def convert_discriminator(source: dict, path: str, classes: int | None = None) -> Conversion:
    """A released discriminator in our names. Raises UserError: another network, another number of ``classes``."""
    prefix, state = released.stripped(tensors_of(source, path))
    kind = released.detect_discriminator(state, path)
    used = {key: DISCRIMINATORS[kind].ours(key) for key in state}
    ours = {used[key]: value for key, value in state.items()}
    seen = ours['layers.0.weight'].shape[1]
    if classes not in (None, seen):
        raise UserError(f'{path} is a discriminator of {seen} classes, the segmentor has {classes}: they do not match')
    return Conversion(DISCRIMINATORS[kind].name, ours, used, {}, origin=dict(format=kind, prefix=prefix))


def reverse(checkpoint: dict, path: str) -> tuple[str, dict[str, Tensor]]:
    """One of our checkpoints in its released format: the format's name and the state_dict.

    A file that :func:`convert` made gives back the tensors it was made from. Convolutions that the released model has
    and ours has not are zeros, which add nothing whether or not its code applies them.

    Raises:
        UserError: a network that the released code does not have.
    """
    state = {k.removeprefix(PLAYER): v for k, v in tensors_of(checkpoint, path).items() if not _of_discriminator(k)}
    origin = checkpoint.get('released', {})
    layout = released.layout_of(origin.get('format') or _own_kind(state), tuple(origin.get('numbers', ())))
    if strangers := [k for k in state if layout.released(k) is None or re.search(r'conv_seg\.\D', k)]:
        raise UserError(f'{path}: {strangers[0]} has no place in the released models, which are DeepLabV2')
    back = {layout.released(key): value for key, value in state.items()}
    if not origin:
        for layer in layout.classifiers:
            _fill_branches(back, layer)
    back.update(origin.get('kept', {}))
    return layout.name, {origin.get('prefix', '') + key: value for key, value in back.items()}


def _own_kind(state: dict[str, Tensor]) -> str:
    if any(key.startswith('backbone.features.') for key in state):
        return 'vgg'
    return 'multi' if any(key.startswith('auxiliary_head.') for key in state) else 'single'


def _fill_branches(back: dict[str, Tensor], layer: str) -> None:
    for i in range(1, 4):
        for name in ('weight', 'bias'):
            first = back.get(f'{layer}.conv2d_list.0.{name}')
            if first is not None:
                back.setdefault(f'{layer}.conv2d_list.{i}.{name}', torch.zeros_like(first))


def reverse_discriminator(checkpoint: dict, path: str, level: str) -> tuple[str, dict[str, Tensor]]:
    """The discriminator of ``level`` in its released format. Raises UserError: there is none."""
    start = f'discriminator.{level}.'
    state = {k.removeprefix(start): v for k, v in tensors_of(checkpoint, path).items() if k.startswith(start)}
    origin = checkpoint.get('released', {}).get(level, dict(format='discriminator', prefix=''))
    layout: Layout = DISCRIMINATORS[origin['format']]
    if not state or any(layout.released(key) is None for key in state):
        raise UserError(f"{path} has no discriminator of AdaptSegNet's at level {level!r}: leave out its argument")
    return layout.name, {origin['prefix'] + layout.released(key): value for key, value in state.items()}


def _of_discriminator(key: str) -> bool:
    return key.startswith('discriminator.')
