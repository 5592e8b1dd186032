"""The key formats of MiT and of the released DAFormer, HRDA and MIC checkpoints, and the matching names in ours.

The releases name MiT's tensors as SegFormer does (one for q, one for k and v, MLPs of ``nn.Linear``). MMSegmentation
1.x uses ``nn.MultiheadAttention`` and 1×1 convolutions. The checkpoints contain three segmentors: the student
(``model.``), the teacher (``ema_model.``) and, with the feature distance, the ImageNet network (``imnet_model.``).
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from ..errors import UserError

PARTS = {'model': 'segmentor', 'ema_model': 'teacher', 'imnet_model': 'imagenet'}  # of the releases → of an adapter
_BACKBONE = (
    (r'patch_embed(\d)\.proj\.', lambda m: f'layers.{int(m[1]) - 1}.0.projection.'),
    (r'patch_embed(\d)\.norm\.', lambda m: f'layers.{int(m[1]) - 1}.0.norm.'),
    (r'block(\d)\.(\d+)\.', lambda m: f'layers.{int(m[1]) - 1}.1.{m[2]}.'),
    (r'norm(\d)\.', lambda m: f'layers.{int(m[1]) - 1}.2.'),
)
_BLOCK = (('attn.proj.', 'attn.attn.out_proj.'), ('mlp.fc1.', 'ffn.layers.0.'), ('mlp.fc2.', 'ffn.layers.4.'))
_BLOCK += (('mlp.dwconv.dwconv.', 'ffn.layers.1.'),)
_HEAD = (
    (r'^decode_head\.head\.', 'decode_head.'),  # HRDA's
    (r'^decode_head\.scale_attention\.', 'attention_head.'),
    (r'(head\.embed_layers\.\d+)\.proj\.', r'\1.'),
    (r'head\.fuse_layer\.(conv|bn)\.', r'head.bottleneck.\1.'),
    (r'head\.fuse_layer\.', 'head.'),
    (r'^decode_head\.aspp_modules\.(\d+)\.conv\.(weight|bias)$', r'decode_head.conv_seg.\1.\2'),  # DeepLabV2's: no BN
)


def adapter_of(state: dict[str, Tensor], path: str = 'the checkpoint') -> dict[str, Tensor]:
    """A whole released checkpoint under an adapter's keys: ``segmentor.``, ``teacher.`` and ``imagenet.``.

    The ImageNet network is only a backbone. The releases also store a head for it, which is never used and is dropped.

    Raises:
        UserError: the checkpoint has no ``model.``.
    """
    ours = {}
    for part, place in PARTS.items():
        if part != 'model' and not any(key.startswith(f'{part}.') for key in state):
            continue
        found = segmentor_of(state, part, path)
        if place == 'imagenet':
            found = {key.removeprefix('backbone.'): x for key, x in found.items() if key.startswith('backbone.')}
        ours.update({f'{place}.{key}': x for key, x in found.items()})
    return ours


def segmentor_of(state: dict[str, Tensor], part: str | None = None, path: str = 'the checkpoint') -> dict[str, Tensor]:
    """One segmentor of a released checkpoint, under our keys: ``backbone.``, ``decode_head.``, ``attention_head.``.

    Covers MiT and ResNet backbones with DAFormer's head, DeepLabV2's or HRDA's.

    Args:
        state: the released key → tensor.
        part: a key of ``PARTS``; None if the keys have no such prefix.
        path: for messages.

    Raises:
        UserError: the checkpoint does not have that part.
    """
    if part is not None:
        kept = {k.removeprefix(f'{part}.'): v for k, v in state.items() if k.startswith(f'{part}.')}
        if not kept:
            raise UserError(f'{path} has no {part}.…: use a checkpoint of DAFormer, HRDA or MIC that has this part')
        state = kept
    backbone = {k.removeprefix('backbone.'): v for k, v in state.items() if k.startswith('backbone.')}
    ours = {f'backbone.{key}': value for key, value in mit_of(backbone, path).items()}
    deeplab = not any('fuse_layer' in key for key in state)
    for key, value in state.items():
        if not key.startswith('backbone.'):
            name = _head_key(key, deeplab)
            ours[name] = value[..., None, None] if 'embed_layers' in key and value.ndim == 2 else value
    return ours


def _head_key(key: str, deeplab: bool) -> str:
    for pattern, new in _HEAD if deeplab else _HEAD[:-1]:
        key = re.sub(pattern, new, key)
    return key


def mit_of(state: dict[str, Tensor], path: str = 'the checkpoint') -> dict[str, Tensor]:
    """Rename MiT's tensors to MMSegmentation's keys. Keys already in that form, or of another backbone, do not change.

    ImageNet's classifier (``head.``) is dropped.

    Raises:
        UserError: the file is a whole segmentor, usually a fine-tuned SegFormer, and not ImageNet weights.
    """
    segmentor = next((k for k in state if k.startswith(('decode_head.', 'backbone.', 'segformer.', 'model.'))), None)
    if segmentor is not None:
        raise UserError(
            f'{path} is a complete segmentor (it has {segmentor}), so it was fine-tuned: set init_cfg.checkpoint to '
            "the ImageNet file mit_b5.pth or, to use this one on purpose, set init_cfg.prefix='backbone.'"
        )
    ours = {}
    for key, value in state.items():
        if key.startswith('head.') or '.attn.kv.' in key:
            continue
        if '.attn.q.' in key:
            ours[_mit_key(key).replace('attn.q.', 'attn.attn.in_proj_')] = torch.cat(
                [value, state[key.replace('.q.', '.kv.')]]
            )
        else:
            linear = '.mlp.fc' in key and value.ndim == 2
            ours[_mit_key(key)] = value[..., None, None] if linear else value
    return ours


def _mit_key(key: str) -> str:
    for pattern, new in _BACKBONE:
        key, found = re.subn(f'^{pattern}', new, key)
        if found:
            break
    else:
        return key
    for old, new in _BLOCK:
        key = key.replace(old, new)
    return key
