"""Fixes that the OpenMMLab stacks need for a current PyTorch, and for mmcv without compiled ops.

Every part names its reason and the version that makes it obsolete. Two stacks share the import names ``mmengine``,
``mmcv`` and ``mmseg``: upstream OpenMMLab and its maintained fork (the ``onedl-*`` distributions).
"""

import importlib.util
import os
import sys
import types
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from packaging.version import Version

INSTALL = 'pip install "setuptools<82" mmengine==0.10.7 mmcv-lite==2.1.0 mmsegmentation==1.2.2 ftfy regex'
INSTALL_FORK = 'pip install onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmsegmentation==1.4.2'
SUPPORTED = {  # import name: (lowest, below) over both stacks
    'mmengine': ('0.10.0', '0.11'),
    'mmcv': ('2.0.0rc4', '2.4'),
    'mmseg': ('1.2.0', '1.5'),
}


def require_stack() -> None:
    """Fail at import, with one sentence, if OpenMMLab is missing or its version is not supported."""
    command = INSTALL_FORK if is_installed('onedl-mmengine') else INSTALL
    for name, (lowest, below) in SUPPORTED.items():
        try:
            found = importlib.import_module(name).__version__
        except (ImportError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise ImportError(f'mmseg_adapt needs {name}, but importing it fails ({reason}); run: {command}') from None
        if not Version(lowest) <= Version(found) < Version(below):
            raise ImportError(f'mmseg_adapt needs {name} >= {lowest}, < {below}, found {found}; run: {command}')


class _MissingOps(types.ModuleType):
    """Stands for ``mmcv._ext``: every function exists and raises when it is called."""

    def __getattr__(self, name: str):
        if name.startswith('__'):
            raise AttributeError(name)

        def op(*args, **kwargs):
            raise RuntimeError(f'mmcv.ops.{name} needs mmcv with compiled ops, but this environment has mmcv-lite')

        return op


def stub_missing_ops() -> None:
    """Make mmseg 1.2.2 importable on mmcv-lite: it imports ``mmcv.ops`` unconditionally.

    Remove with mmsegmentation 1.2: the fork (1.4) imports without compiled ops.
    """
    if Version(version_of('mmseg')) < Version('1.4') and importlib.util.find_spec('mmcv._ext') is None:
        stub = _MissingOps('mmcv._ext')
        stub.__spec__ = ModuleSpec('mmcv._ext', loader=None)  # mmcv_full_available() still returns False
        sys.modules['mmcv._ext'] = stub


def has_compiled_ops() -> bool:
    """Whether mmcv has its compiled ops; mmcv-lite does not."""
    spec = importlib.util.find_spec('mmcv._ext')
    return spec is not None and spec.loader is not None  # the stub has no loader


def version_of(name: str) -> str:
    return importlib.import_module(name).__version__


def name_the_fork() -> None:
    """Let ``_base_ = 'mmseg::…'`` find the fork's configs; its distribution has a different name.

    Remove when onedl-mmengine resolves ``mmseg::`` by import name.
    """
    from mmengine.config import utils

    if is_installed('onedl-mmsegmentation'):
        utils.MODULE2PACKAGE['mmseg'] = 'onedl-mmsegmentation'


def name_this_package() -> None:
    """Let ``_base_ = 'mmseg_adapt::…'`` find our configs, also after ``pip install -e``.

    Upstream mmengine joins the distribution's location, which is empty for an editable install, and the package's
    name. Remove the second half with mmengine 0.10: the fork asks Python where the package is.
    """
    from mmengine import config, hub
    from mmengine.config import utils

    utils.MODULE2PACKAGE.setdefault('mmseg_adapt', 'mmseg_adapt')
    here = str(Path(__file__).parents[1])
    for module in (config.config, hub.hub):
        find = module.get_installed_path
        module.get_installed_path = lambda name, find=find: here if name == 'mmseg_adapt' else find(name)


def let_lists_mix_files_and_arrays() -> None:
    """Let ``inference_model`` take a file after an array: mmseg passes such a file to the step that loads arrays.

    Remove when mmseg's ``_preprare_data`` checks every image and does not change the model's config.
    """
    from mmcv.transforms import LoadImageFromFile
    from mmseg.datasets.transforms import LoadImageFromNDArray

    load = LoadImageFromNDArray.transform
    if load.__module__.startswith('mmseg.'):

        def transform(self, results: dict) -> dict:
            return load(self, results) if 'img' in results else LoadImageFromFile.transform(self, results)

        LoadImageFromNDArray.transform = transform


def is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _statistic(owner: type, name: str):
    """Replaces ``getattr``, with which a HistoryBuffer's pickle names its own methods, and allows nothing else."""
    from mmengine.logging import HistoryBuffer

    if owner is not HistoryBuffer or name.startswith('_'):
        raise UnpicklingError(f'the checkpoint needs {name!r} of {owner!r}, which only unsafe loading allows')
    return getattr(owner, name)


def allow_mmengine_checkpoints() -> None:
    """Put the contents of mmengine's own checkpoints on the allow-list of ``torch.load(weights_only=True)``.

    torch >= 2.6 rejects them otherwise. We call it before every load, because the fork's loader empties the list.
    Remove when mmengine saves plain tensors.
    """
    from mmengine.logging import HistoryBuffer

    dtypes = [type(np.dtype(t)) for t in (np.float32, np.float64, np.int32, np.int64, np.bool_)]
    core = np._core.multiarray if hasattr(np, '_core') else np.core.multiarray
    torch.serialization.add_safe_globals(
        [HistoryBuffer, (_statistic, 'builtins.getattr'), core._reconstruct, core.scalar, np.ndarray, np.dtype, *dtypes]
    )


def use_gloo_without_gpu(launcher: str) -> None:
    """Start the process group on a machine without a GPU; mmengine's launcher fails there in ``torch.cuda.set_device``.

    Remove when mmengine's ``init_dist`` accepts a machine without accelerators.
    """
    if launcher != 'none' and not torch.cuda.is_available() and not torch.distributed.is_initialized():
        os.environ.setdefault('LOCAL_RANK', '0')
        torch.distributed.init_process_group('gloo')
