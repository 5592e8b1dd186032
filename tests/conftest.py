"""Shared by all tests: CPU only, MMSegmentation's scope, few threads, two tiny domains on disk."""

import os
import sys
from pathlib import Path

if 'gpu' not in sys.argv:  # pytest -m gpu
    os.environ['CUDA_VISIBLE_DEVICES'] = ''

import pytest
import torch
from mmengine.registry import init_default_scope

import mmseg_adapt  # noqa: F401  (registration)
from mmseg_adapt.demo import streets

from .tiny import forget_visualizers, without_the_overhead_of_a_long_run


@pytest.fixture(autouse=True, scope='session')
def _mmseg_scope():
    init_default_scope('mmseg')
    without_the_overhead_of_a_long_run()
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', 1)))


@pytest.fixture(autouse=True)
def _visualizer_of_its_own():
    forget_visualizers()


@pytest.fixture(scope='session')
def street_data(tmp_path_factory) -> Path:
    """Four source, four target and two validation images, as the demo's. Tests that change files copy it first."""
    return streets.write(tmp_path_factory.mktemp('streets'), source=4, target=4, val=2)
