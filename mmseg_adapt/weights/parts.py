"""The parts of a checkpoint, and the one check for all weights that enter a model.

An adapter saves ``segmentor.…``, ``discriminator.<level>.…``, ``teacher.…``. A file without ``segmentor.`` is a plain
segmentor, as written by an export or by MMSegmentation. Training, testing, prediction and export all use this module.
"""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor, nn

from ..errors import UserError
from .load import tensors_of

State = dict[str, Tensor]
SEGMENTOR, TEACHER = 'segmentor', 'teacher'
DEPLOYABLE = (SEGMENTOR, TEACHER)  # the same modules: each can replace the other
PER_LEVEL = 'discriminator'  # has one part per level
ANEW = 'default_hooks.checkpoint_guard.anew'


def parts_of(state: State) -> dict[str, State]:
    """Part → its tensors, without the part's name: ``'segmentor'``, ``'discriminator.decode'``, ``'teacher'``, …"""
    state = {key.removeprefix('module.'): value for key, value in state.items()}
    if not _of_adapter(state):
        return {SEGMENTOR: state}
    parts: dict[str, State] = {}
    for key, value in state.items():
        names = key.split('.', 2 if key.startswith(f'{PER_LEVEL}.') else 1)
        parts.setdefault('.'.join(names[:-1]), {})[names[-1]] = value
    return parts


def _of_adapter(state: State) -> bool:
    return any(key.removeprefix('module.').startswith(f'{SEGMENTOR}.') for key in state)


def frozen_names(segmentor: nn.Module) -> set[str]:
    """The parameters that are not trained."""
    return {name for name, parameter in segmentor.named_parameters() if not parameter.requires_grad}


def loaded(
    own: State,
    checkpoint: dict,
    path: str,
    part: str | None = None,
    anew: tuple[str, ...] = (),
    frozen: Collection[str] = (),
) -> tuple[State, list[str]]:
    """The state of a model with the weights of a file. Tensors that the file does not have keep their value in ``own``.

    The segmentor is loaded as a whole. If the file has no teacher, the teacher starts as a copy of the segmentor. Any
    other part is loaded if all of it fits.

    Args:
        own: state_dict of the model, an adapter or a plain segmentor.
        checkpoint: the content of ``path``, also of an adapter or a plain segmentor.
        part: ``'segmentor'`` or ``'teacher'``: the part of the file to predict with. By default each part loads its
            own weights.
        frozen: the segmentor's parameters that are not trained (:func:`frozen_names`). A teacher shares them with the
            segmentor, and the file has them only once.
        anew: prefixes of the segmentor's keys that may be missing or have another shape. They keep their initial
            values.

    Returns:
        The state, with the keys of ``own``, and one sentence for each part that was not loaded.

    Raises:
        UserError: the file has no ``part``, or its segmentor does not fit this model, see :func:`check_fit`.
    """
    mine, found = parts_of(own), parts_of(tensors_of(checkpoint, path))
    if (part or SEGMENTOR) not in found:
        raise UserError(f'{path} has no part {part}: it must be one of {", ".join(sorted(found))}')
    segmentor = found[part or SEGMENTOR]
    if part == TEACHER:
        segmentor = {**{key: x for key, x in found.get(SEGMENTOR, {}).items() if key in frozen}, **segmentor}
    check_fit(mine[SEGMENTOR], segmentor, path, anew)
    notes = _anew(mine[SEGMENTOR], segmentor, anew)
    mine[SEGMENTOR].update(_common(mine[SEGMENTOR], segmentor))
    for name in [name for name in mine if name != SEGMENTOR]:
        theirs = found.get(part if part and name == TEACHER else name, {})
        if _fits(mine[name], theirs):
            mine[name].update(_common(mine[name], theirs))
        elif name == TEACHER:
            mine[name].update(_common(mine[name], mine[SEGMENTOR]))
            notes.append('it has no teacher that fits, so the teacher starts as a copy of the segmentor')
        else:
            notes.append(
                f'{name} {"has another shape" if theirs else "is not in the file"} and keeps its initial weights'
            )
    notes += [f'{name} is not part of this model and is ignored' for name in found if name not in mine]
    whole = {f'{name}.{key}'.lstrip('.'): value for name, tensors in mine.items() for key, value in tensors.items()}
    return whole if _of_adapter(own) else mine[SEGMENTOR], notes


def check_whole(own: State, checkpoint: dict, path: str) -> None:
    """Raises: UserError: If the file has other tensors than this model, or does not contain the state of a run."""
    mine, found = parts_of(own), parts_of(tensors_of(checkpoint, path))
    for name in sorted(mine.keys() ^ found.keys()):
        where = 'this config' if name in found else path
        raise UserError(f'{path} is not a run of this config: {where} has no {name}; to start from it, set load_from')
    if _of_adapter(own) != _of_adapter(tensors_of(checkpoint, path)):
        raise UserError(f'{path} is not a run of this config, but a plain segmentor; to start from it, set load_from')
    for name, tensors in mine.items():
        check_fit(tensors, found[name], path if name == SEGMENTOR else f'{path}, {name}')
    if 'message_hub' not in checkpoint or 'iter' not in checkpoint.get('meta', {}):
        raise UserError(f'{path} contains weights, but not the state of a run; to start from it, set load_from')


def check_fit(own: State, found: State, path: str, anew: tuple[str, ...] = ()) -> None:
    """Check that a part of a file fits this model, tensor by tensor. It may have extra keys, except in the head and
    adapters.

    Raises:
        UserError: If no key is common, a tensor has another shape, the file's main head has more convolutions than the
            model's, or a tensor is missing (only BN's ``num_batches_tracked`` may be).
    """
    if not found.keys() & own.keys():
        raise UserError(
            f'{path} belongs to another network: none of its keys matches this config, which has {min(own)}: use the '
            'config that the checkpoint was trained with'
        )
    for key in sorted(found.keys() & own.keys()):
        if own[key].shape != found[key].shape and not key.startswith(anew):
            raise UserError(
                f'{path}: {key} has shape {tuple(found[key].shape)}, but this config needs {tuple(own[key].shape)}: '
                f'use the config that the checkpoint was trained with (check num_classes and depth){_cure(key)}'
            )
    for key in sorted(found.keys() - own.keys()):
        if key.startswith('decode_head.') and not key.startswith(anew):
            raise UserError(
                f'{path}: this config has no {key}: use the config that the checkpoint was trained with (check '
                'decode_head.type and dilations)'
            )
        if '.lora_' in key and not key.startswith(anew):
            raise UserError(
                f'{path} has low-rank adapters, but this config has no {key}: use the config that the checkpoint was '
                'trained with and its low_rank.rank'
            )
    if missing := [key for key in _lacking(own, found) if not key.startswith(anew)]:
        raise UserError(
            f'{path} lacks {missing[0]} ({len(missing)} tensors of this config are missing): use the config that the '
            f'checkpoint was trained with{_cure(missing[0])}'
        )


def _cure(key: str) -> str:
    head = key.split('.')[0]
    if '.lora_' in key:
        return ' and its low_rank.rank'
    return f'; to train it from initial weights, set {ANEW}={head}' if head.endswith('_head') else ''


def _lacking(own: State, found: State) -> list[str]:
    return [key for key in own if key not in found and not key.endswith('num_batches_tracked')]


def _common(own: State, found: State) -> State:
    """The tensors of ``own`` that are in ``found`` with the same shape."""
    return {key: value for key, value in found.items() if key in own and own[key].shape == value.shape}


def _fits(own: State, found: State) -> bool:
    return not _lacking(own, _common(own, found))


def _anew(own: State, found: State, anew: tuple[str, ...]) -> list[str]:
    new = [key for key in _lacking(own, _common(own, found)) if key.startswith(anew)]
    return [f'{len(new)} tensors of the segmentor keep their initial weights, such as {min(new)}'] if new else []


def accept_plain(adapter: nn.Module) -> None:
    """Let ``load_state_dict``, and so ``mmseg.apis.init_model``, load a plain segmentor into an adapter."""
    adapter._register_load_state_dict_pre_hook(_as_adapters, with_module=True)


def _as_adapters(adapter: nn.Module, state: State, prefix: str, *_) -> None:
    if prefix == '' and not any(key.split('.')[0] in adapter._modules for key in state):
        for key in list(state):
            state[f'{SEGMENTOR}.{key}'] = state.pop(key)
