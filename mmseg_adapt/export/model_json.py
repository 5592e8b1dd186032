"""A model as data, ``model.json``: ``Predictor`` builds it without running a config, which is code.

Data can name code, too. If a registry does not know a type, mmengine imports the type by its name, so
``dict(type='os.system', command=…)`` would run. Only types that the frameworks or this package register are allowed.
"""

from __future__ import annotations

import json
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import WEIGHT_INITIALIZERS
from mmseg.registry import MODELS, TASK_UTILS, TRANSFORMS

from .. import __version__
from ..datasets.pipelines import LABEL_LOADERS
from ..errors import UserError, first_line

NAME = 'model.json'
VERSION = 1
SCOPE = 'mmseg'  # types are looked up in its registry and parents
SCOPES = (SCOPE, 'mmseg_adapt')  # of configs that inherit; for another scope mmengine imports a package
TRUSTED = ('mmseg_adapt', 'mmseg', 'mmcv', 'mmengine', 'torch')  # packages that types may come from
LOOKS_UP = ('Albu', 'VPD')  # types that import by name what their arguments contain


def write_model_json(plain: Config, meta: dict, file: Path) -> None:
    """Write the model of a plain config, its image pipeline, and the names and colours of its classes.

    Args:
        meta: ``classes`` and ``palette``.

    Raises:
        UserError: If a type is not allowed, or JSON cannot store a value.
    """
    plain = plain.to_dict()
    steps = plain.get('test_dataloader', {}).get('dataset', {}).get('pipeline', [])
    pipeline = [step for step in steps if step['type'] not in LABEL_LOADERS]
    data = dict(mmseg_adapt=__version__, version=VERSION, model=plain['model'], pipeline=pipeline, **meta)
    check_types(data, file)
    file.write_text(json.dumps(_encoded(data, NAME), indent=1, ensure_ascii=False), encoding='utf-8')


def read_model_json(file: Path) -> Config:
    """A config of ``model`` and ``test_dataloader``. Build it within
    :func:`~mmseg_adapt.compat.registered_types.registered_types_only`.

    Raises:
        UserError: the file was not written by an export, has a later version, or contains a type of another package.
    """
    try:
        data = json.loads(file.read_text(encoding='utf-8'), object_hook=_decoded)
        version = data['version']
        model, *pipeline = [{**part, 'type': part['type']} for part in (data['model'], *data['pipeline'])]
        metainfo = dict(classes=list(data['classes']), palette=list(data['palette']))
        dataset = dict(type='BaseSegDataset', pipeline=pipeline, metainfo=metainfo)
        cfg = Config(dict(default_scope=SCOPE, model=model, test_dataloader=dict(dataset=dataset)))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f'{file} was not written by an export ({first_line(error)}): export the model again') from error
    if version != VERSION:
        raise UserError(f'{file} has version {version}, but this package reads {VERSION}: install a newer mmseg_adapt')
    check_types(data, file)
    return cfg


def check_types(part: object, file: Path) -> None:
    """Raises: UserError: If the frameworks and this package do not register a type, or it imports other code."""
    if isinstance(part, (list, tuple)):
        for value in part:
            check_types(value, file)
    if not isinstance(part, dict):
        return
    name, scope = part.get('type'), part.get('_scope_', SCOPE)
    if ('type' in part and not _is_known(name)) or scope not in SCOPES:
        raise UserError(
            f'{file} contains the type {name!r} of {scope}, which OpenMMLab and mmseg_adapt do not define, or which '
            'imports other code: if you trust the author, use config.py and model.pth'
        )
    for value in part.values():
        check_types(value, file)


def _is_known(name: object) -> bool:
    if not isinstance(name, str) or name in LOOKS_UP:
        return False
    for types in (MODELS, TRANSFORMS, TASK_UTILS, WEIGHT_INITIALIZERS):
        while types is not None:
            found = types.module_dict.get(name)
            if getattr(found, '__module__', '').partition('.')[0] in TRUSTED:
                return True
            types = types.parent
    return False


def _encoded(value: object, path: str) -> object:
    """JSON has no tuples, but mmcv distinguishes them from lists."""
    if isinstance(value, tuple):
        return {'tuple': [_encoded(item, path) for item in value]}
    if isinstance(value, list):
        return [_encoded(item, path) for item in value]
    if isinstance(value, dict) and 'tuple' not in value and all(isinstance(key, str) for key in value):
        return {key: _encoded(item, f'{path}: {key}') for key, item in value.items()}
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise UserError(f'{path} is {value!r}, which JSON cannot store: write it as numbers, strings, lists or tuples')


def _decoded(found: dict) -> dict | tuple:
    return tuple(found['tuple']) if found.keys() == {'tuple'} else found
