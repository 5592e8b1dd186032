"""Shared by all tests: CPU only, MMSegmentation's scope, few threads."""

import pytest
import torch
from mmengine.registry import init_default_scope

import mmseg_adapt  # noqa: F401  (registration)


@pytest.fixture(autouse=True, scope='session')
def _mmseg_scope():
    init_default_scope('mmseg')
    torch.set_num_threads(1)
