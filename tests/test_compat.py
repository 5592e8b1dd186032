"""The check of the stack at import, safe checkpoints, and the stand-ins for what mmcv-lite lacks."""

import subprocess
import sys

import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmseg_adapt.compat import stack as compat

from .tiny import REPO


def import_error(code: str) -> str:
    run = subprocess.run(
        [sys.executable, '-c', code + '\nimport mmseg_adapt'], cwd=REPO, capture_output=True, text=True
    )
    assert run.returncode == 1
    return run.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ('code', 'message'),
    [
        ("import sys; sys.modules['mmseg'] = None", 'mmseg_adapt needs mmseg, but importing it fails'),
        (
            "import sys, types; m = types.ModuleType('mmseg'); m.__version__ = '0.16.0'; sys.modules['mmseg'] = m",
            'mmseg_adapt needs mmseg >= 1.2.0, < 1.5, found 0.16.0',
        ),
    ],
)
def test_a_missing_or_old_stack_fails_at_import_with_the_command_to_run(code, message):
    error = import_error(code)
    assert error.startswith(f'ImportError: {message}')
    assert error.endswith(compat.INSTALL_FORK if compat.is_installed('onedl-mmengine') else compat.INSTALL)


def test_compiled_ops_are_not_claimed_where_there_are_none_and_calling_one_says_so():
    if 'mmcv._ext' not in sys.modules or not isinstance(sys.modules['mmcv._ext'], compat._MissingOps):
        pytest.skip('this stack imports mmseg without a stand-in for compiled ops')
    from mmengine.utils.dl_utils import mmcv_full_available

    assert not mmcv_full_available()
    with pytest.raises(RuntimeError, match='mmcv.ops.nms needs mmcv with compiled ops'):
        sys.modules['mmcv._ext'].nms()


def test_a_history_buffer_survives_a_safe_load(tmp_path):
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    torch.save(dict(buffer=buffer), tmp_path / 'c.pth')
    compat.allow_mmengine_checkpoints()
    assert torch.load(tmp_path / 'c.pth', weights_only=True)['buffer'].mean() == 1.5


class Bomb:
    def __reduce__(self):
        return getattr, (torch.nn.Module, '__init__')


def test_what_a_history_buffer_needs_opens_no_door_for_others(tmp_path):
    torch.save(dict(bomb=Bomb()), tmp_path / 'c.pth')
    compat.allow_mmengine_checkpoints()
    with pytest.raises(Exception, match='only unsafe loading allows|Unsupported'):
        torch.load(tmp_path / 'c.pth', weights_only=True)
