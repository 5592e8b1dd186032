"""Unsupervised domain adaptation for semantic segmentation, as a plugin of MMSegmentation 1.x.

Importing the package checks the OpenMMLab stack and registers everything that a config names.
"""

from . import compat

compat.require_stack()
compat.stub_missing_ops()
compat.name_the_fork()
compat.name_this_package()
compat.allow_mmengine_checkpoints()

from . import datasets, engine, evaluation, log, methods, models, optim, runs, selection, style, weights  # noqa: E402, F401
from .compat import class_weight, cpu_amp, cpu_parallel  # noqa: E402, F401

compat.let_lists_mix_files_and_arrays()

__version__ = '0.1.0'


def __getattr__(name: str):
    if name == 'Predictor':  # loaded on first use
        from .predictor import Predictor

        return Predictor
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
