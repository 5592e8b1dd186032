"""The page of a run: whole, or without baseline, labels or the end of the run; it loads nothing from elsewhere."""

import json
import re
import shlex
import shutil
import time
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmseg_adapt.cli.report import main
from mmseg_adapt.errors import UserError
from mmseg_adapt.report import figures, page
from mmseg_adapt.report.report import _confidence
from mmseg_adapt.report.run import folders_of, has_labels, run_in

from .test_selection import runs  # noqa: F401 (a fixture)
from .tiny import load, random_checkpoint, run_tool, tiny_config

LOG = '2026/01/01 00:00:00 - mmengine - WARNING - iteration 4: the pseudo-labels have lost <car> (0 %): set it\n'


@pytest.fixture(scope='module')
def work_dirs(runs, tmp_path_factory):  # noqa: F811
    """Runs with a log, whose last line was cut off by a kill."""
    folder = tmp_path_factory.mktemp('reported')
    for name in ('source_only', 'dacs'):
        shutil.copytree(runs / name, folder / name)
        (folder / name / '1/vis_data').mkdir(parents=True)
        rows = [{'iter': i, 'step': i, 'time': 30.0, 'decode.loss_ce': 1 / i, 'mix.agreement': 0.5} for i in (2, 4)]
        text = '\n'.join(map(json.dumps, rows)) + '\n{"iter": 5, "ste'
        (folder / name / '1/vis_data/scalars.json').write_text(text)
        (folder / name / '1/1.log').write_text(LOG * 2)
    return folder


class Parts(HTMLParser):
    """Headings, tags that are still open at the end, and what is loaded from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings, self.open, self.loaded, self.inside = [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag not in ('meta', 'img', 'path', 'use', 'rect', 'br'):
            self.open.append(tag)
        self.inside = tag == 'h2'
        links = [v for k, v in attributes if k in ('src', 'href', 'xlink:href')]
        self.loaded += [link for link in links if not link.startswith(('data:', '#'))]

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.inside:
            self.headings.append(data)
            self.inside = False


WHOLE = ['The two domains', 'Class by class, in percent', 'Training', 'Snapshots, in percent', 'Target images']


def test_a_page_has_its_parts_and_loads_nothing(work_dirs, capsys):
    main([str(work_dirs / 'dacs'), '--baseline', str(work_dirs / 'source_only'), '--images', '3'])
    out = work_dirs / 'dacs/report.html'
    assert capsys.readouterr().out.strip() == f'wrote {out}'
    text = out.read_text()
    parts = Parts(text)
    assert [h for h in parts.headings if h in WHOLE] == WHOLE
    assert parts.headings[-1] == 'Recipe'
    assert parts.loaded == []
    assert parts.open == []
    for words in (
        '<p class=',
        'Iteration 4: the pseudo-labels have lost &lt;car&gt; (0 %): set it.',
        '% changed',
    ):
        assert text.count(words) >= 1
    assert text.count('lost &lt;car&gt;') == 1
    assert re.search(r'Pick: \w+/dacs/iter_[24] \(InfoMax ', text)
    assert 'Largest change compared with the baseline' in text
    assert re.search(r'python tools/train.py \S+/dacs/config.py --work-dir \S+/dacs_again', text)
    assert '(the run is not finished)' not in text
    assert '<th>InfoMax</th>' in text
    assert '<th>mIoU</th>' in text
    assert '2.0 minutes' in text  # 4 iterations of 30 s


def test_labels_baseline_target_folder_and_snapshots_may_be_missing(work_dirs, tmp_path):
    shutil.copytree(work_dirs / 'dacs', tmp_path / 'dacs')
    (tmp_path / 'dacs/iter_4.pth').unlink()
    cfg = Config.fromfile(tmp_path / 'dacs/config.py')
    cfg.test_dataloader.dataset.data_prefix.pop('seg_map_path')
    cfg.train_cfg.max_iters = 100
    cfg.train_dataloader.dataset.source.data_root = 'gone'
    cfg.dump(tmp_path / 'dacs/config.py')
    main([str(tmp_path / 'dacs'), '--images', '2', '--out', str(tmp_path / 'page.html')])
    text = (tmp_path / 'page.html').read_text()
    assert 'pass a source-only run with --baseline' in text
    assert 'The two domains are not compared: the folder of the source does not exist.' in text
    assert '<th>mIoU</th>' not in text
    assert 'Largest change' not in text
    assert '4 of 100 (the run is not finished)' in text
    for file in (tmp_path / 'dacs').glob('*.pth'):
        file.unlink()
    main([str(tmp_path / 'dacs'), '--out', str(tmp_path / 'page.html')])
    text = (tmp_path / 'page.html').read_text()
    assert 'The run has no snapshot that could be scored.' in text
    assert 'contains no checkpoint' in text
    assert Parts(text).headings == ['Training', 'What is missing', 'Recipe']


def test_a_work_dir_that_is_none_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match='nowhere does not exist: pass the work dir'):
        main(['nowhere'])
    with pytest.raises(UserError, match=r'contains no config \(\*.py\): pass a work dir'):
        main([str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


def test_no_figure_mixes_shares_with_percent_or_shows_a_single_snapshot(work_dirs, tmp_path, monkeypatch):
    folder = tmp_path / 'dacs'
    shutil.copytree(work_dirs / 'dacs', folder)
    rows = [{'iter': i, 'step': i, 'mix.agreement': 0.5, 'teacher_agreement': 90.0} for i in (2, 4)]
    (folder / '1/vis_data/scalars.json').write_text('\n'.join(map(json.dumps, rows)))
    drawn = {}
    monkeypatch.setattr(figures, 'curves', lambda title, series, *_: drawn.setdefault(title, set(series)) and '')
    main([str(folder), '--images', '3'])
    assert drawn['teacher'] == {'mix.agreement'}
    assert drawn['student and teacher, mIoU'] == {'teacher_agreement'}
    assert 'scores' in drawn
    for file in sorted(folder.glob('iter_*.pth'))[1:]:
        file.unlink()
    drawn.clear()
    main([str(folder), '--images', '3'])
    assert 'teacher' in drawn and 'scores' not in drawn


def test_what_a_run_left_is_read_from_its_folder(work_dirs):
    run = run_in(work_dirs / 'dacs')
    assert run.curves('loss') == {'decode.loss_ce': [(2, 0.5), (4, 0.25)]}
    assert run.warnings == ['iteration 4: the pseudo-labels have lost <car> (0 %): set it']
    assert has_labels(run.cfg)
    assert sorted(folders_of(run.cfg)) == ['source', 'target']


def test_a_figure_fits_its_column_and_text_is_escaped():
    svg = figures.curves('a', {'loss': [(1, 2.0), (2, 1.0)]}, mark=(1, 'pick'))
    assert svg.startswith('<svg ')
    assert not re.search(r'<svg [^>]*(width|height)=', svg)
    assert 'viewBox' in svg[:300]
    drawn = figures.histograms('light', {'a': [1, 1], 'b': [1]}), figures.bars('shares', ['x'], {'a': [0.5]})
    assert all(text.startswith('<svg ') for text in drawn)
    assert figures.picture(np.zeros((10, 640, 3), np.uint8), 'x').startswith('<img alt="x" src="data:image/jpeg')
    assert page.table(['<a>'], [['<b>']]).count('&lt;') == 2
    assert page.section('empty') == ''


def test_confidence_is_averaged_over_the_pixels_of_a_class():
    class P:
        labels = np.array([[0, 0, 2]])
        confidence = np.array([[0.5, 0.7, 0.9]])

    np.testing.assert_allclose(_confidence([('', P)] * 2, 3), [0.6, np.nan, 0.9])


def test_the_recipe_knows_the_drawn_seed_and_the_snapshots_between_two_lines_of_the_log(tmp_path):
    (tmp_path / 'config.py').write_text('train_cfg = dict(max_iters=42)\n')
    (tmp_path / 'run/vis_data').mkdir(parents=True)
    (tmp_path / 'run/run.log').write_text('Runtime environment:\n    cudnn_benchmark: False\n    seed: 412900866\n')
    (tmp_path / 'run/vis_data/scalars.json').write_text('{"iter": 40, "step": 40, "time": 3.0}\n')
    (tmp_path / 'iter_42.pth').touch()
    recipe = run_in(tmp_path).recipe()
    assert recipe['seed'] == '412900866'
    assert recipe['iterations'] == '42 of 42'
    assert recipe['training time'] == '2.0 minutes'


def test_the_command_of_a_recipe_repeats_a_run_whose_seed_was_drawn_and_that_was_resumed(
    street_data, tmp_path, monkeypatch
):
    """Resumed, it has lost which weights it began with."""
    cfg = tiny_config('demo/streets_singlelevel.py', street_data, tmp_path / 'a run')
    cfg.default_hooks.checkpoint.interval = 1
    cfg.val_dataloader.dataset.indices = 1
    cfg.pop('randomness')
    cfg.load_from = str(random_checkpoint(cfg, tmp_path / 'begin.pth'))
    cfg.dump(tmp_path / 'tiny.py')
    run_tool('train.py', tmp_path / 'tiny.py', monkeypatch=monkeypatch)
    options = ('--cfg-options', f'experiment_name=resumed{time.time_ns()}')  # mmengine keeps runners by name
    run_tool(
        'train.py', tmp_path / 'tiny.py', '--resume', cfg.work_dir + '/iter_1.pth', *options, monkeypatch=monkeypatch
    )
    _, _, *arguments = shlex.split(run_in(cfg.work_dir).recipe()['command'])
    run_tool('train.py', *arguments, f'experiment_name=repeated{time.time_ns()}', monkeypatch=monkeypatch)
    whole, again = (load(tmp_path / name / 'iter_2.pth')['state_dict'] for name in ('a run', 'a run_again'))
    assert all(torch.equal(whole[key], again[key]) for key in whole)
