"""The documentation site: its pages are complete, and what they show runs."""

import json
import re
import shlex
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
import torch
from mmseg.registry import DATASETS, MODELS

import mmseg_adapt_command as command
from mmseg_adapt.files.config import shipped

from .test_own_data import FEW, here  # noqa: F401  (a fixture)
from .test_selftraining_runs import config_of
from .tiny import CONFIGS, REPO, train

DOCS = REPO / 'docs'
PAGES = sorted(DOCS.rglob('*.md'))
NOT_REFERENCE = ('cli', 'demo')  # programs


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf'```{language}\n(.*?)\n```', (DOCS / page).read_text(), flags=re.S)


def test_every_page_stands_in_the_index():
    named = set(re.findall(r'^[\w/.]+$', (DOCS / 'index.md').read_text(), re.M))
    pages = {page.relative_to(DOCS).with_suffix('').as_posix() for page in PAGES} - {'index'}
    assert pages == named - {'tutorial.ipynb'}


def test_every_method_has_a_page_of_at_most_sixty_lines():
    pages = {page.stem: page for page in DOCS.glob('methods/*.md')}
    methods = {folder.name for folder in CONFIGS.iterdir() if (folder / 'README.md').exists()}
    assert pages.keys() == methods
    for page in pages.values():
        text = page.read_text()
        assert text.count('\n') <= 60
        assert '## What to expect' in text
        assert f'{{include}} ../../configs/{page.stem}/README.md' in text


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_every_config_that_a_page_names_comes_with_the_package(page):
    folders = '|'.join(folder.name for folder in CONFIGS.iterdir() if folder.name not in ('_base_', 'own'))
    named = re.findall(rf'`(?:mmseg-adapt \w+ )?((?:{folders})/\w+)`', page.read_text())
    assert not {*named} - {*shipped()}


def test_the_reference_has_every_module():
    text = ''.join(page.read_text() for page in DOCS.glob('api/*.md'))
    documented = re.findall(r'^\.\. automodule:: (.+)$', text, re.M)
    modules = {
        '.'.join(file.relative_to(REPO).with_suffix('').parts)
        for file in (REPO / 'mmseg_adapt').rglob('*.py')
        if file.stem != '__init__' and file.relative_to(REPO / 'mmseg_adapt').parts[0] not in NOT_REFERENCE
    }
    assert len(documented) == len({*documented})
    assert modules <= {*documented}


# --------------------------------------------------------------------------------------------------- docs/extending.md


def test_the_method_of_self_training_trains(street_data, tmp_path):
    exec(blocks('extending.md', 'python')[0], {})
    cfg = config_of('dacs', street_data, tmp_path, 1)
    cfg.model.type = 'RowMix'
    for option in ('mix', 'jitter', 'blur'):
        cfg.model.pop(option, None)
    runner = train(cfg)
    assert 'train/rows.decode.loss_ce' in runner.message_hub.log_scalars


def test_the_data_set_reads_its_folders(tmp_path):
    exec(blocks('extending.md', 'python')[1], {})
    for folder, array in (('photos', np.zeros((4, 6, 3), np.uint8)), ('masks', np.full((4, 6), 9, np.uint8))):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / '0001.png'), array)
    pipeline = [dict(type='LoadImage'), dict(type='LoadLabels')]
    dataset = DATASETS.build(dict(type='DockyardDataset', data_root=str(tmp_path), pipeline=pipeline))
    assert (dataset[0]['gt_seg_map'] == 2).all()


def test_the_segmentor_yields_what_a_discriminator_sees():
    exec(blocks('extending.md', 'python')[2], lines := {})
    outputs = MODELS.build(lines['segmentor'])(torch.zeros(1, 3, 16, 24), mode='tensor')
    assert outputs['decode'].shape == (1, 3, 4, 6)
    assert outputs['backbone'].shape == (1, 16, 4, 6)


# ------------------------------------------------------------------------------------ docs/quick_start.md, the tutorial


@pytest.mark.slow
def test_the_quick_start_runs(here, monkeypatch, capsys):  # noqa: F811
    commands = [line for block in blocks('quick_start.md', 'bash') for line in block.splitlines()]
    assert commands[1] == 'python -m mmseg_adapt.demo.streets data/streets'  # here: fewer images, by the fixture
    for i, line in enumerate(commands):
        if i != 1:
            program, *arguments = shlex.split(line.replace('iter_500', 'iter_2'))
            assert program == 'mmseg-adapt'
            if arguments[0] in ('train', 'test'):
                few = [*FEW, 'default_hooks.checkpoint.interval=2', 'train_cfg.val_interval=2']
                arguments += ['--cfg-options', *few, f'experiment_name=quick{i}', f'visualizer.name=quick{i}']
            assert command.main(arguments) == 0
    assert Path('work_dirs/streets_multilevel/report.html').is_file()
    assert len(list(Path('predictions').rglob('*.png'))) >= 2
    (snippet,) = blocks('quick_start.md', 'python')
    capsys.readouterr()
    exec(snippet, {})
    assert capsys.readouterr().out.startswith('(96, 192) ')


@pytest.mark.slow
def test_the_tutorial_runs_and_adaptation_gains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matplotlib.use('Agg')
    cells = json.loads((DOCS / 'tutorial.ipynb').read_text())['cells']
    state = {}
    for cell in cells:
        if cell['cell_type'] == 'code':
            exec(''.join(cell['source']), state)
    assert state['scores']['streets_multilevel'] > state['scores']['streets_source_only'] + 1
