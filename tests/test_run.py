"""Two folders in, an adapted model out, in one command that may be repeated."""

import json
from argparse import Namespace
from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg_adapt import Predictor
from mmseg_adapt.cli import run
from mmseg_adapt.errors import UserError

from .test_package import call

CLASSES = 'road,sidewalk,building,pole,vegetation,sky,person,car'


def arguments(data: Path) -> list:
    return [
        *('--source-images', data / 'source/images', '--source-labels', data / 'source/labels'),
        *('--target-images', data / 'target/train/images', '--classes', CLASSES),
    ]


@pytest.mark.slow
def test_two_folders_become_a_model_and_its_predictions_and_the_command_goes_on_where_it_stopped(street_data, tmp_path):
    command = ['-m', 'mmseg_adapt_command', 'run', *arguments(street_data), '--out', 'out', '--iterations', 6]
    said = call(*command, cwd=tmp_path)
    out = tmp_path / 'out'
    assert '6 iterations' in said
    assert {path.stem for path in (out / 'train').glob('*.pth')} == {f'iter_{i}' for i in range(1, 7)}
    assert '<svg' in (out / 'report.html').read_text()
    pick = json.loads((out / 'select.json').read_text())['pick']
    assert pick.startswith('out/train/iter_')
    image = next((street_data / 'target/train/images').iterdir())
    assert Predictor(out / 'model', device='cpu')(image).labels.shape == (96, 192)
    written = sorted((out / 'predictions').rglob(f'{image.stem}.png'))
    assert written
    before = {path: path.stat().st_mtime_ns for path in out.rglob('*.pth')}
    (out / 'select.json').unlink()
    call(*command, cwd=tmp_path)
    assert (out / 'select.json').exists()
    assert {path: path.stat().st_mtime_ns for path in out.rglob('*.pth')} == before
    error = call(*command[:-1], 7, cwd=tmp_path, fails=True)
    assert 'error: out contains a run with --iterations 6, not 7' in error


def test_the_length_of_a_run_sets_its_schedule_and_its_snapshots(street_data, tmp_path, monkeypatch, capsys):
    options = list(map(str, [*arguments(street_data), '--out', tmp_path / 'out', '--minutes', '1']))
    monkeypatch.setattr('sys.argv', ['run', *options])
    monkeypatch.setattr(run, 'seconds_per_iteration', lambda config: 0.25)
    args = run.parse()
    run.remember(args)
    run.write_config(args, tmp_path / 'out/config.py')
    run.set_length(tmp_path / 'out/config.py', args)
    cfg = Config.fromfile(tmp_path / 'out/config.py')
    assert cfg.train_cfg.max_iters == 240
    assert cfg.param_scheduler[0].end == 241
    assert cfg.default_hooks.checkpoint.interval == cfg.train_cfg.val_interval == 40
    assert cfg.model.type == 'DACS'
    assert '240 iterations (1 minutes at 0.25 s an iteration)' in capsys.readouterr().out
    assert run.has_length(tmp_path / 'out/config.py')


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / 'letters.txt').write_text('mine')
    with pytest.raises(UserError, match='is not empty and does not contain a run'):
        run.remember(Namespace(out=tmp_path))


@pytest.mark.parametrize(('option', 'value'), [('--minutes', '0'), ('--iterations', '-1')])
def test_a_run_without_length_is_refused(option, value, street_data, monkeypatch):
    monkeypatch.setattr('sys.argv', ['run', *map(str, arguments(street_data)), option, value])
    with pytest.raises(UserError, match=f'{option} .* must be above 0'):
        run.parse()
