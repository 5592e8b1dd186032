"""Read checkpoints without running code in them.

A pickle may run any code when it is read; ``torch.load(weights_only=True)`` reads only tensors and plain values.
Importing this module makes mmengine's loaders (``load_from``, ``resume``, ``init_cfg``) do the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from pickle import UnpicklingError

import torch
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint
from torch import Tensor

from ..compat import allow_mmengine_checkpoints
from ..errors import UserError

UNSAFE = 'MMSEG_ADAPT_UNSAFE'  # an environment variable, so that worker processes inherit it
NEEDS_CODE = re.compile(r'GLOBAL (\S+)|unrecognized function|unsafe loading|add_safe_globals|legacy \.tar')
REMOTE = ('http://', 'https://', 'torchvision://', 'modelzoo://', 'open-mmlab://', 'openmmlab://', 'mmcls://')


def allow_unsafe() -> None:
    """From now on, checkpoints may run code: the tools' ``--unsafe``."""
    os.environ[UNSAFE] = '1'


def unsafe() -> bool:
    return os.environ.get(UNSAFE) == '1'


def read_checkpoint(path: str | Path, map_location: str | None = 'cpu') -> dict:
    """Read a file written by ``torch.save`` or ``safetensors``; the latter as ``{'state_dict': …}``.

    Raises:
        UserError: the file does not exist, is truncated, is not a checkpoint, or would execute code.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(f'{file} does not exist: copy or link the checkpoint to {file.absolute()}, or choose another')
    if file.suffix == '.safetensors':
        return _read_safetensors(file, map_location)
    with _one_sentence(str(file)):
        allow_mmengine_checkpoints()  # the fork's loader empties the list
        checkpoint = torch.load(file, map_location=map_location, weights_only=not unsafe())
    if not isinstance(checkpoint, dict):
        raise UserError(
            f'{file} contains a {type(checkpoint).__name__}, not a checkpoint: save model.state_dict() instead'
        )
    return checkpoint


def tensors_of(checkpoint: dict, path: str | Path) -> dict[str, Tensor]:
    """The weights of a checkpoint, under any of the keys that training code commonly uses.

    Raises:
        UserError: the checkpoint contains no tensors.
    """
    for key in ('state_dict', 'model_state_dict', 'model'):
        if isinstance(checkpoint.get(key), dict):
            checkpoint = checkpoint[key]
    tensors = {key: value for key, value in checkpoint.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if not tensors:
        raise UserError(f'{path} contains no weights: use a file written by torch.save(model.state_dict(), …)')
    return tensors


def _read_safetensors(file: Path, map_location: str | None) -> dict:
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise UserError(f"{file} needs safetensors: run: pip install 'mmseg_adapt[export]'") from None
    with _one_sentence(str(file)):
        return {'state_dict': load_file(file, device=str(map_location or 'cpu')), 'meta': {}}


@contextmanager
def _one_sentence(name: str) -> Iterator[None]:
    """Explain why reading failed: the file would execute code, or it is damaged."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # pickle, zip and safetensors raise almost anything on a damaged file
        first = (
            error.__context__ if isinstance(error.__context__, UnpicklingError) else error
        )  # without PyTorch's advice
        found = isinstance(first, (UnpicklingError, RuntimeError)) and NEEDS_CODE.search(str(first))
        if found and not unsafe():
            what = f' ({found[1]})' if found[1] else ''
            raise UserError(
                f'loading {name} would execute code{what} stored in the file. If you trust its author, pass --unsafe '
                f'or set {UNSAFE}=1'
            ) from error
        kind = 'is a TorchScript model, not' if 'TorchScript' in str(error) else 'is truncated, damaged or not'
        raise UserError(f'{name} {kind} a checkpoint: download or save it again') from error


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str, map_location=None) -> dict:
    return read_checkpoint(filename, map_location)


def _guarded(load: Callable) -> Callable:
    """Wrap one of mmengine's loaders: it does not execute code in the file, and fails with one sentence."""

    @wraps(load)
    def guarded(filename: str, map_location=None) -> dict:
        before = os.environ.get('TORCH_FORCE_WEIGHTS_ONLY_LOAD')
        os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '0' if unsafe() else '1'  # mmengine passes weights_only=False
        allow_mmengine_checkpoints()
        try:
            with _one_sentence(filename):
                return load(filename, map_location=map_location)
        except UserError as error:
            if isinstance(error.__cause__, (OSError, KeyError)):  # URLError is an OSError
                raise UserError(_where(filename, error.__cause__)) from error
            raise
        finally:
            os.environ.pop('TORCH_FORCE_WEIGHTS_ONLY_LOAD')
            if before is not None:
                os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = before

    return guarded


def _where(filename: str, error: Exception) -> str:
    if isinstance(error, KeyError):
        return f'{filename} is not a known model: check the name in init_cfg.checkpoint, or set it to a local file'
    url = filename
    if '-mmlab://' in filename or 'openmmlab://' in filename:
        url = mmengine_checkpoint.get_external_models()[filename.split('://')[1]]
    elif filename.startswith(('torchvision://', 'modelzoo://')):
        url = mmengine_checkpoint.get_torchvision_models()[filename.split('://')[1]]
    cache = Path(torch.hub.get_dir()) / 'checkpoints' / url.rsplit('/', 1)[-1]
    return (
        f'{filename} cannot be downloaded ({error}): download {url} elsewhere and copy it to {cache}, '
        'or set init_cfg.checkpoint to its path'
    )


for _prefix in REMOTE:
    _load = CheckpointLoader._get_checkpoint_loader(_prefix + 'model')
    if not hasattr(_load, '__wrapped__'):
        CheckpointLoader.register_scheme(_prefix, _guarded(_load), force=True)
