"""The table of runs against numbers worked out by hand."""

import json
import re

import pytest

from mmseg_adapt.errors import UserError

from .test_training import failure
from .tiny import CONFIGS, run_tool, tool

DOCS = CONFIGS.parent / 'docs'


def write_run(folder, *values, config='method', text=''):
    folder.mkdir(parents=True)
    (folder / f'{config}.py').write_text(text)
    for i, part in enumerate(values):
        (folder / f'2026010{i}_000000/vis_data').mkdir(parents=True)
        lines = [json.dumps({'step': row[0], 'mIoU': row[1], 'IoU.road': row[1] + 1}) for row in part]
        lines += [json.dumps(dict(step=row[0], infomax=row[2], flip_consistency=1)) for row in part if row[2:]]
        lines.insert(0, json.dumps(dict(step=1, loss=0.5, time=2.0)))
        (folder / f'2026010{i}_000000/vis_data/scalars.json').write_text('\n'.join(lines))


def tables(printed):
    """The first row of every table, under the names of its columns."""
    blocks = [block.splitlines() for block in printed.split('\n\n') if block.startswith('|')]
    cells = [[[c.strip() for c in line.split('|')[1:-1]] for line in block] for block in blocks]
    return [dict(zip(block[0], block[2])) for block in cells]


def test_last_picked_best_and_spread_over_seeds(tmp_path, monkeypatch, capsys):
    write_run(tmp_path / 'a', [(10, 30.0, 7), (20, 50.0, 9)], [(20, 40.0, 8), (30, 44.0, 5)])  # resumed: 20 ran twice
    write_run(tmp_path / 'b', [(10, 30.0, 4), (20, 36.0, 5), (30, 40.0, 6)])
    out = tmp_path / 'out.jsonl'
    runs = [tmp_path / 'a', tmp_path / 'b']
    run_tool('analysis/summarize.py', *runs, '--last', 2, '--classes', '--json', out, monkeypatch=monkeypatch)
    printed = capsys.readouterr().out
    mious, ends, picks = tables(printed)
    assert mious == {
        'config': 'method',
        'runs': '2',
        'last': '42.0 ± 2.8',
        'picked': '40.0 ± 0.0',  # of a: iteration 20
        'best*': '42.0 ± 2.8',
        'mean of last 2': '40.0 ± 2.8',
        'spread within a run': '2.8',
        'minutes': '1.0 ± 0.0',  # 30 iterations of 2 seconds
    }
    assert (ends['road'], picks['road']) == ('43.0 ± 2.8', '41.0 ± 0.0')
    run_tool('analysis/summarize.py', '--from', out, '--last', 2, '--classes', monkeypatch=monkeypatch)
    assert capsys.readouterr().out == printed


def test_nothing_is_picked_where_a_snapshot_has_no_infomax(tmp_path, monkeypatch, capsys):
    write_run(tmp_path / 'a', [(10, 30.0, 7), (20, 50.0)])
    run_tool('analysis/summarize.py', tmp_path / 'a', monkeypatch=monkeypatch)
    assert tables(capsys.readouterr().out)[0]['picked'] == '–'


def test_runs_of_one_config_with_other_settings_have_a_row_of_their_own(tmp_path, monkeypatch, capsys):
    text = (
        'randomness = dict(seed={seed})\nmodel = dict(init_cfg=dict(checkpoint="fcn/seed{seed}.pth"))\n'
        'aan = dict(renders="data/aan/{store}", prob={prob})'
    )
    for seed in (0, 1):
        for folder, store, prob, miou in (('fast', 'a', 0.5, 51), ('paper', 'b', 0.5, 52), ('plain', 'a', 0.0, 50)):
            settings = text.format(seed=seed, store=store, prob=prob)
            write_run(tmp_path / folder / f'seed{seed}', [(10, miou)], text=settings)
    run_tool('analysis/summarize.py', *sorted(tmp_path.glob('*/*')), monkeypatch=monkeypatch)
    rows = re.findall(r'^\| (method.*?) *\| +(\d) \| +([\d.]+)', capsys.readouterr().out, flags=re.M)
    assert rows == [
        (f'method ({tmp_path}/fast/seed0)', '2', '51.0'),
        (f'method ({tmp_path}/paper/seed0)', '2', '52.0'),
        (f'method ({tmp_path}/plain/seed0)', '2', '50.0'),
    ]


def test_a_line_that_a_kill_cut_short_is_left_out_and_an_average_needs_a_snapshot(tmp_path, monkeypatch, capsys):
    write_run(tmp_path / 'a', [(10, 30.0), (20, 50.0)])
    (log,) = tmp_path.rglob('scalars.json')
    log.write_text(log.read_text() + '\n{"mIoU": 60.0, "step": 3')
    run_tool('analysis/summarize.py', tmp_path / 'a', monkeypatch=monkeypatch)
    assert tables(capsys.readouterr().out)[0]['last'] == '50.0'
    message = failure('analysis/summarize.py', tmp_path / 'a', '--last', 0, monkeypatch=monkeypatch, capsys=capsys)
    assert '--last 0 must be at least 1' in message


def test_a_folder_without_a_run_is_named(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run_tool('analysis/summarize.py', tmp_path, monkeypatch=monkeypatch)
    assert f'error: {tmp_path} contains no validated run' in capsys.readouterr().err


@pytest.mark.parametrize('content', [None, 'text', '{"mIoU": 1}', '[1]'])
def test_a_file_that_holds_no_results_is_named(tmp_path, content, monkeypatch, capsys):
    file = tmp_path / 'x.jsonl'
    if content:
        file.write_text(content)
    message = failure('analysis/summarize.py', '--from', file, monkeypatch=monkeypatch, capsys=capsys)
    assert str(file) in message and '--json' in message


def test_the_tables_of_the_pages_are_those_of_the_stored_results(tmp_path, monkeypatch):
    pages = tool('analysis/pages.py')
    texts = {page: (pages.ROOT / page).read_text(encoding='utf-8') for page, *_ in pages.tables(DOCS / 'results')}
    for page, text in texts.items():
        (tmp_path / page).parent.mkdir(exist_ok=True)
        (tmp_path / page).write_text(text, encoding='utf-8')
    (tmp_path / 'docs/results').symlink_to(DOCS / 'results')
    monkeypatch.setattr(pages, 'ROOT', tmp_path)
    pages.main()
    assert 'README.md' in texts
    for page, text in texts.items():
        assert (tmp_path / page).read_text(encoding='utf-8') == text, 'run tools/analysis/pages.py'


def test_every_mean_of_the_readme_and_every_stored_attempt_stands_on_the_page_of_results():
    page = (DOCS / 'results.md').read_text(encoding='utf-8')
    means = re.findall(r'\d+\.\d ± \d+\.\d', (DOCS.parent / 'README.md').read_text(encoding='utf-8'))
    assert len(means) > 30
    assert [mean for mean in means if mean not in page] == []
    attempts = map(json.loads, (DOCS / 'results/attempts/runs.jsonl').read_text().splitlines())
    lasts = {(run['row'], f'{run["snapshots"][-1]["mIoU"]:.1f}') for run in attempts}
    assert [(name, last) for name, last in sorted(lasts) if last not in page] == []


def test_a_table_in_a_page_is_replaced_and_read_again(tmp_path):
    markdown_table, page = tool('analysis/markdown_table.py'), tmp_path / 'page.md'
    page.write_text('before\n<!-- a: begin -->\nold\n<!-- a: end -->\nafter')
    markdown_table.put(page, 'a', markdown_table.markdown(['', 'x'], [['one', 1], ['two', 2]]))
    text = page.read_text()
    assert text.startswith('before\n<!-- a: begin -->\n|') and text.endswith('|\n<!-- a: end -->\nafter')
    assert markdown_table.rows_of(page, 'a') == [['one', '1'], ['two', '2']]


def test_a_page_without_a_place_for_the_table_is_named_and_kept(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('<!-- y: begin -->')
    with pytest.raises(UserError, match=r'page.md has no table x: add the lines <!-- x: begin -->'):
        tool('analysis/markdown_table.py').put(page, 'x', 'table')
    assert page.read_text() == '<!-- y: begin -->'
