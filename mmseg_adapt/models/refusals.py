"""Models of MMSegmentation that cannot be adapted or built here. They are rejected by name before anything is built."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from mmseg.registry import MODELS

from ..compat import has_compiled_ops
from ..errors import UserError

CANNOT = {  # head → why
    'SideAdapterCLIPHead': 'compares masks with texts and needs the image in addition to its features',
    'VPDDepthHead': 'estimates depth, not classes',
}
OF_MMDET = ('Mask2FormerHead', 'MaskFormerHead')
OPS = {'CCHead': 'CrissCrossAttention', 'PointHead': 'point_sample', 'PSAHead': 'PSAMask'}
COMPILED = ('PSAHead',)  # the other ops are written in Python, so mmcv-lite has them
PACKAGES = ('mmdet', 'mmpretrain')


def check_buildable(segmentor: dict) -> None:
    """Raises: UserError: If a head cannot be adapted, or a part's package is missing; the message names it."""
    for kind in types(segmentor):
        if kind in CANNOT:
            raise UserError(
                f'model.segmentor: {kind} {CANNOT[kind]}, so it cannot be adapted: choose a segmentor from '
                'docs/models.md'
            )
        if kind in ('TIMMBackbone', 'FoundationViT') and importlib.util.find_spec('timm') is None:
            raise UserError(f"model.segmentor: {kind} needs timm: run: pip install 'mmseg_adapt[vfm]'")
        if missing := needed(kind):
            raise UserError(f'model.segmentor: {kind} needs {missing}: install it, or choose another segmentor')


def requirement(kind: str) -> str | None:
    """What a registered type needs besides MMSegmentation and mmcv-lite."""
    package = kind.partition('.')[0]
    if kind in OF_MMDET:
        return 'mmdet'
    if kind in OPS:
        return f'mmcv with {"compiled " if kind in COMPILED else ""}ops ({OPS[kind]})'
    return package if '.' in kind and package in PACKAGES else None


def needed(kind: str) -> str | None:
    """The same, if it is not installed."""
    what = requirement(kind)
    if kind in OF_MMDET:
        missing = not hasattr(MODELS.get(kind), 'loss_by_feat')  # without mmdet, mmseg registers an empty class
    elif kind in OPS:
        op = getattr(importlib.import_module(MODELS.get(kind).__module__), OPS[kind])
        missing = op is None or (kind in COMPILED and not has_compiled_ops())
    else:
        missing = what is not None and importlib.util.find_spec(what) is None
    return f'{what}, which is not installed' if missing else None


def types(part) -> Iterator[str]:
    """The type names in a part of a config."""
    if isinstance(part, dict):
        if kind := part.get('type'):
            yield kind if isinstance(kind, str) else kind.__name__
        part = part.values()
    elif not isinstance(part, (list, tuple)):
        return
    for value in part:
        yield from types(value)
