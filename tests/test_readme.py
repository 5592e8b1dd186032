"""What the README says is run, or compared with what it speaks of."""

import re

import pytest
import torch
from mmseg.registry import MODELS

from .test_adversarial import adapter, batch, optimisers
from .tiny import REPO, run_tool

README = (REPO / 'README.md').read_text()
PYTHON = re.findall(r'```python\n(.*?)```', README, flags=re.S)


def test_the_stock_config_in_the_readme_is_the_file_it_names():
    file = (REPO / 'configs/adaptseg/gta2cs_deeplabv3plus_r50.py').read_text()
    assert PYTHON[1] == re.sub(r'^(#.*\n)+', '', file)


def test_the_method_in_the_readme_is_complete_and_trains():
    if 'EntropyAdaptation' not in MODELS:
        exec(PYTHON[2], {})
    model = adapter(type='EntropyAdaptation')
    for discriminator in model.discriminator.values():  # the toy's maps are too small for all five layers
        discriminator.forward = discriminator.layers[0].forward
    with torch.no_grad():
        logits = model.segmentor(torch.stack(batch(0)['target']['inputs']), mode='tensor')['decode']
    p = logits.softmax(1)
    torch.testing.assert_close(model.view(logits, (64, 96)), -p * p.log())
    log = model.train_step(batch(0), optimisers(model))
    assert {'decode.loss_adv', 'discriminator.aux.loss_dis'} <= log.keys()


@pytest.mark.parametrize(
    'document', sorted([*REPO.glob('*.md'), *REPO.glob('docs/**/*.md'), *REPO.glob('configs/**/*.md')])
)
def test_every_file_that_a_document_names_exists(document):
    text = document.read_text()
    links = [link for link in re.findall(r'\]\(([^)#]+)\)', text) if '://' not in link]
    assert not [link for link in links if not (document.parent / link).exists()]
    commands = re.findall(r'(?:python|bash)? ?((?:tools|configs(?!/own)|tests|mmseg_adapt)/[\w/.-]+\.(?:py|sh))', text)
    assert not [path for path in commands if not (REPO / path).exists() and not (document.parent / path).exists()]


@pytest.mark.parametrize(
    ('tool', 'flags'),
    [
        ('train.py', ('--resume', '--amp', '--cache', '--work-dir', '--cfg-options', '--overwrite')),
        ('test.py', ('--tta', '--out', '--show-dir')),
    ],
)
def test_the_tools_have_the_arguments_that_the_readme_names(tool, flags, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run_tool(tool, '--help', monkeypatch=monkeypatch)
    usage = capsys.readouterr().out
    assert all(flag in usage and flag in README for flag in flags)
