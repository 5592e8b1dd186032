"""tools/gpu: what it refuses, what a cut run keeps, its tables, and a rehearsal of every stage on the CPU."""

import json
import os
import runpy
import subprocess
import sys
from importlib.metadata import distributions

import kit
import pytest
import tables
import torch

from .tiny import REPO

CHECK = REPO / 'tools/gpu/check.sh'


def refusal(monkeypatch, tmp_path, *arguments, wheels: str = 'numpy\n') -> str:
    """The sentence with which check.sh exits; ``wheels`` stands for wheels.txt."""
    tool = runpy.run_path(str(REPO / 'tools/gpu/run.py'), run_name='kit')
    (tmp_path / 'wheels.txt').write_text(wheels)
    names = tool['main'].__globals__
    monkeypatch.setitem(names, 'HERE', tmp_path)
    monkeypatch.setattr(sys, 'argv', ['run.py', *map(str, arguments)])
    with pytest.raises(names['Refused']) as found:
        tool['main']()
    return str(found.value)


def test_an_output_folder_that_exists_and_an_unknown_stage_are_refused(monkeypatch, tmp_path):
    said = refusal(monkeypatch, tmp_path, '--out', tmp_path)
    assert said == f'{tmp_path} exists: choose another folder with --out'
    said = refusal(monkeypatch, tmp_path, '--out', tmp_path / 'out', '--stages', 'speed,sped')
    assert said == "--stages names 'sped': choose from tests, speed, aan, real, memory"
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(('line', 'name'), [('no-such-thing', 'no-such-thing'), ('numpy==0.1', 'numpy 0.1')])
def test_a_missing_wheel_is_named(line, name, monkeypatch, tmp_path):
    said = refusal(monkeypatch, tmp_path, '--out', tmp_path / 'out', '--kit', tmp_path, wheels=f'# all\n{line}\n')
    start = f'{tmp_path}/wheels contains no wheel for {name}, which is not installed'
    assert said == f'{start}: run tools/gpu/prepare.sh again'


def test_a_package_that_the_machine_should_have_is_named(monkeypatch, tmp_path):
    tool = runpy.run_path(str(REPO / 'tools/gpu/run.py'), run_name='kit')
    monkeypatch.setitem(tool['install'].__globals__, 'EXPECTED', ('torch', 'no_such_thing'))
    with pytest.raises(Exception, match='no_such_thing is missing: install it, or add it to tools/gpu/wheels.t'):
        tool['install'](tmp_path, tmp_path)


def test_a_wheel_is_found_by_its_own_name_and_version(tmp_path):
    tool = runpy.run_path(str(REPO / 'tools/gpu/run.py'), run_name='kit')
    for name in ('mmcv_lite-2.1.0-py2.py3-none-any.whl', 'mmcv_lite-2.1.01-py3-none-any.whl', 'mm-1-py3-none-any.whl'):
        (tmp_path / name).touch()
    assert tool['_wheel'](tmp_path, 'mmcv-lite', '2.1.0').name == 'mmcv_lite-2.1.0-py2.py3-none-any.whl'
    assert tool['_wheel'](tmp_path, 'mm', '').name == 'mm-1-py3-none-any.whl'


def test_without_a_gpu_one_sentence_says_so(monkeypatch, tmp_path):
    said = refusal(monkeypatch, tmp_path, '--out', tmp_path / 'out', '--kit', tmp_path)
    assert said == 'PyTorch finds no GPU: run this on a machine with one, or rehearse with --device cpu --tiny'
    assert not (tmp_path / 'out').exists()


def test_a_row_that_needs_more_memory_than_there_is_is_left_out_by_name_and_the_next_goes_on(tmp_path):
    results = kit.Results(tmp_path, 'speed')
    results.add(name='one bf16 matrix product', tflops=500.0)
    with results.row('large'):
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')
    with results.row('broken'):
        raise KeyError('nothing')
    row = dict(config='a', seconds=0.5, plain_seconds=1.0, peak_gib=7.0, plain_peak_gib=None, flops=50e12)
    with results.row('small'):
        results.add(name='small', **row)
    results.add(name='small + compile', **dict(row, seconds=0.25, flops=0))
    assert [r['name'] for r in json.loads((tmp_path / 'speed.json').read_text())][1:3] == ['large', 'broken']
    text = (tmp_path / 'report.txt').read_text()
    assert '* left out: large: too little memory: CUDA out of memory' in text
    assert "* left out: broken: KeyError: 'nothing'" in text
    rows = [[c.strip() for c in line.split('|')[1:-1]] for line in text.splitlines() if line.startswith('|')][2:]
    assert rows == [
        ['small', '0.500', '1.000', '0.50', '7.00', '–', '100.0', '20.0%'],
        ['small + compile', '0.250', '1.000', '0.25', '7.00', '–', '200.0', '40.0%'],
    ]


def test_the_tables_name_the_card_and_give_mean_and_spread_over_seeds(tmp_path):
    card = dict(device='Card X', gib=79.6, torch='2.11.0', cores=16)
    first = dict(iteration=10, mIoU=42.0, infomax=0.5, classes=dict(sky=80.0))
    ends = [dict(iteration=20, mIoU=40.0 + i, infomax=0.4, classes=dict(sky=90.0)) for i in range(3)]
    runs = [dict(config='real/a', name=f'r{i}', minutes=9.0, snapshots=[first, end]) for i, end in enumerate(ends)]
    memory = [dict(name='m', predicted_gib=6.0, allocated_gib=8.0)]
    tests = [dict(name='t1', outcome='passed', why=''), dict(name='t2', outcome='failed', why='AssertionError')]
    for name, content in dict(card=card, real=runs, memory=memory, tests=tests).items():
        (tmp_path / f'{name}.json').write_text(json.dumps(content))
    text = tables.report(tmp_path)
    assert text.startswith('# Card X, 80 GiB, PyTorch 2.11.0, 16 cores\n')
    assert '1 failed, 1 passed\n* failed: t2: AssertionError' in text
    assert ['m', '6.00', '8.00', '0.75'] in [[c.strip() for c in line.split('|')[1:-1]] for line in text.splitlines()]
    assert '| 41.0 ± 1.0 | 42.0 ± 0.0 | 42.0 ± 0.0 |' in text  # last, picked, best
    assert '| 90.0 ± 0.0 |' in text


@pytest.mark.slow
@pytest.mark.skipif(not any(d.name == 'mmengine' for d in distributions()), reason="the kit carries upstream's stack")
def test_every_stage_ends_in_a_rehearsal_on_the_cpu(tmp_path):
    command = [CHECK, '--out', tmp_path / 'out', '--kit', tmp_path, '--device', 'cpu', '--tiny']
    limits = ','.join(f'{name}=1200' for name in ('tests', 'speed', 'aan', 'memory', 'real'))
    env = {**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run([*command, '--limits', limits], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    files = sorted(file.name for file in (tmp_path / 'out').iterdir())
    stages = json.loads((tmp_path / 'out/card.json').read_text())['stages']
    assert all(ended.startswith('done') for ended in stages.values()), (tmp_path / 'out/log.txt').read_text()[-3000:]
    assert files == sorted([*(f'{name}.json' for name in ('card', *stages)), 'log.txt', 'report.txt'])
    rows = {name: json.loads((tmp_path / f'out/{name}.json').read_text()) for name in stages}
    assert not [row for name in stages for row in rows[name] if 'skipped' in row]
    assert 'failed' not in {row['outcome'] for row in rows['tests']}
    assert len([row for row in rows['tests'] if row['outcome'] == 'passed']) > 10
    assert {row['config'] for row in rows['real']} >= {'real/cs2idd_source_only', 'real/cs2idd_mic'}
    without = {row['config'] for row in rows['speed'] if 'precision' in row and not row['plain_seconds']}
    assert without == {'mic/gta2cs_hrda_mitb5', 'vfm/gta2cs_vitb'}  # of which there is no plain loop
