"""The table of runs against numbers worked out by hand."""

import json
import re

import pytest

from .test_training import failure
from .tiny import run_tool


def write_run(folder, *values, config='method', text=''):
    folder.mkdir(parents=True)
    (folder / f'{config}.py').write_text(text)
    for i, part in enumerate(values):
        (folder / f'2026010{i}_000000/vis_data').mkdir(parents=True)
        lines = [json.dumps(dict(step=s, mIoU=v, **{'IoU.road': v + 1})) for s, v in part]
        lines.insert(0, json.dumps(dict(step=1, loss=0.5)))
        (folder / f'2026010{i}_000000/vis_data/scalars.json').write_text('\n'.join(lines))


def test_last_tail_best_and_spread_over_seeds(tmp_path, monkeypatch, capsys):
    write_run(tmp_path / 'a', [(10, 30.0), (20, 50.0)], [(20, 40.0), (30, 44.0)])  # resumed: iteration 20 was run twice
    write_run(tmp_path / 'b', [(10, 30.0), (20, 36.0), (30, 40.0)])
    out = tmp_path / 'out.json'
    run_tool(
        'analysis/summarize.py', tmp_path / 'a', tmp_path / 'b', '--last', 2, '--json', out, monkeypatch=monkeypatch
    )
    table = [
        [c.strip() for c in row.split('|')[1:-1]] for row in capsys.readouterr().out.splitlines() if row.startswith('|')
    ]
    assert dict(zip(table[0], table[2])) == {
        'config': 'method',
        'runs': '2',
        'last': '42.0 ± 2.8',
        'mean of last 2': '40.0 ± 2.8',
        'spread within a run': '2.8',
        'best*': '42.0 ± 2.8',
        'road': '43.0 ± 2.8',
    }
    runs = json.loads(out.read_text())['method']
    assert [(r['iterations'], r['best_iteration']) for r in runs] == [(30, 30), (30, 30)]


def test_runs_of_one_config_with_other_settings_have_a_row_of_their_own(tmp_path, monkeypatch, capsys):
    text = 'randomness = dict(seed={})\nmodel = dict(prob={}, init_cfg=dict(checkpoint="fcn/seed{}.pth"))'
    for seed in (0, 1):
        for folder, prob in (('rendered', 0.5), ('plain', 0.0)):
            write_run(tmp_path / folder / f'seed{seed}', [(10, 50 + prob)], text=text.format(seed, prob, seed))
    run_tool('analysis/summarize.py', *sorted(tmp_path.glob('*/*')), monkeypatch=monkeypatch)
    rows = re.findall(r'^\| (method.*?) *\| +(\d) \| +([\d.]+)', capsys.readouterr().out, flags=re.M)
    assert rows == [
        (f'method ({tmp_path}/plain/seed0)', '2', '50.0'),
        (f'method ({tmp_path}/rendered/seed0)', '2', '50.5'),
    ]


def test_a_line_that_a_kill_cut_short_is_left_out_and_an_average_needs_a_snapshot(tmp_path, monkeypatch, capsys):
    write_run(tmp_path / 'a', [(10, 30.0), (20, 50.0)])
    (log,) = tmp_path.rglob('scalars.json')
    log.write_text(log.read_text() + '\n{"mIoU": 60.0, "step": 3')
    run_tool('analysis/summarize.py', tmp_path / 'a', monkeypatch=monkeypatch)
    assert '| 50.0 |' in capsys.readouterr().out
    message = failure('analysis/summarize.py', tmp_path / 'a', '--last', 0, monkeypatch=monkeypatch, capsys=capsys)
    assert '--last 0: average at least one snapshot' in message


def test_a_folder_without_a_run_is_named(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run_tool('analysis/summarize.py', tmp_path, monkeypatch=monkeypatch)
    assert f'error: {tmp_path} holds no validated run' in capsys.readouterr().err
