"""What of MMSegmentation's zoo cannot be adapted, or not be built here: refused by name, before anything is built."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from mmseg.registry import MODELS

from ..compat import has_compiled_ops
from ..errors import UserError

CANNOT = {  # head → why
    'SideAdapterCLIPHead': 'compares masks with texts and needs the image itself beside its features',
    'VPDDepthHead': 'estimates depth, not classes',
}
OF_MMDET = ('Mask2FormerHead', 'MaskFormerHead')
OPS = {'CCHead': 'CrissCrossAttention', 'PointHead': 'point_sample', 'PSAHead': 'PSAMask'}
COMPILED = ('PSAHead',)  # the other ops are written in Python: mmcv-lite has them where it can be imported
PACKAGES = ('mmdet', 'mmpretrain')


def check_buildable(segmentor: dict) -> None:
    """Raises: UserError: a head that cannot be adapted, or a part whose package is missing, by name."""
    for kind in types(segmentor):
        if kind in CANNOT:
            raise UserError(
                f'model.segmentor: {kind} {CANNOT[kind]}, so that it cannot be adapted: choose a segmentor of '
                'docs/models.md'
            )
        if missing := needed(kind):
            raise UserError(f'model.segmentor: {kind} needs {missing}: install it, or choose another segmentor')


def needed(kind: str) -> str | None:
    """What is not installed of that which a registered type needs."""
    if kind in OF_MMDET and not hasattr(MODELS.get(kind), 'loss_by_feat'):  # mmseg stands an empty class in for mmdet's
        return 'mmdet, which is not installed'
    if kind in OPS:
        op = getattr(importlib.import_module(MODELS.get(kind).__module__), OPS[kind])
        if op is None or (kind in COMPILED and not has_compiled_ops()):
            return f'mmcv with compiled ops ({OPS[kind]}), which is not installed'
    package = kind.partition('.')[0]
    if package in PACKAGES and '.' in kind and importlib.util.find_spec(package) is None:
        return f'{package}, which is not installed'
    return None


def types(part) -> Iterator[str]:
    """The names of the types that a part of a config names."""
    if isinstance(part, dict):
        if kind := part.get('type'):
            yield kind if isinstance(kind, str) else kind.__name__
        part = part.values()
    elif not isinstance(part, (list, tuple)):
        return
    for value in part:
        yield from types(value)
