"""The chain of FCAN's ablation on tiny data: stage 1, its BN statistics, a stage 2 from its checkpoint, the table."""

import re

import pytest
import torch

from .test_training import failure
from .tiny import load, run_tool, tiny_config, tool


@pytest.fixture(scope='module')
def setting(street_data, tmp_path_factory):
    """``<setting>_fcn.py``, ``_abn.py`` and ``_ran.py``, tiny."""
    folder = tmp_path_factory.mktemp('ablation')
    fcn = tiny_config('demo/streets_source_only.py', street_data, folder / 'unused')
    ran = tiny_config('demo/streets_ran.py', street_data, folder / 'unused')
    abn = fcn.copy()
    target = dict(ran.train_dataloader.dataset.target)
    abn.custom_hooks = [dict(type='AdaptBNHook', dataset=target, batch_size=2)]
    ran.model.segmentor.init_cfg = dict(type='Pretrained', checkpoint='replaced.pth')
    ran.optim_wrapper.segmentor.optimizer.lr = 1e-3
    for row, cfg in (('fcn', fcn), ('abn', abn), ('ran', ran)):
        cfg.pop('work_dir')
        cfg.pop('randomness')
        cfg.dump(folder / f'tiny_{row}.py')
    return folder / 'tiny'


def test_the_chain_trains_each_stage_once_and_prints_the_papers_table_beside_ours(setting, monkeypatch, capsys):
    chain = tool('fcan_ablation.py')
    ran = []

    def run(log, script, config, *arguments):  # in this process; mmengine keeps runners by name
        name = f'experiment_name={log.parent.parent.name}_{len(ran)}'
        options = () if '--cfg-options' in arguments else ('--cfg-options',)
        ran.append((script, log.parent.parent.name))
        log.parent.mkdir(parents=True, exist_ok=True)
        run_tool(script.removeprefix('tools/'), config, *arguments, *options, name, monkeypatch=monkeypatch)

    monkeypatch.setattr(chain, 'run', run)
    work_dir = setting.parent / 'work'
    command = ['fcan_ablation', '--setting', str(setting), '--rows', 'abn', 'ran', '--work-dir', str(work_dir)]
    monkeypatch.setattr('sys.argv', command)
    chain.main()
    scripts = ('train.py', 'adapt_bn.py', 'test.py', 'train.py', 'test.py')
    assert ran == [(f'tools/{s}', row) for s, row in zip(scripts, ('fcn', 'abn', 'abn', 'ran', 'ran'))]
    table = capsys.readouterr().out
    for row, paper in (('ABN', '35.51'), ('RAN', '44.81')):
        assert re.search(rf'{row}.*\|\s+{paper} \|\s+[\d.]+ \|\s+1 \|', table)
    stage1 = load(work_dir / 'fcn/seed0/iter_2.pth')['state_dict']
    stage2 = load(work_dir / 'ran/seed0/iter_2.pth')['state_dict']
    distance = max((stage2[f'segmentor.{k}'] - v).abs().max() for k, v in stage1.items() if k.endswith('conv1.weight'))
    assert 0 < distance < 0.01  # it started there
    assert any(not torch.equal(v, stage1[k]) for k, v in load(work_dir / 'abn/seed0/iter_2.pth')['state_dict'].items())
    monkeypatch.setattr('sys.argv', command)
    chain.main()
    assert len(ran) == 5  # all was there
    assert capsys.readouterr().out.split('paper, GTA5')[1] == table.split('paper, GTA5')[1]


def test_rows_that_the_paper_does_not_have_show_no_published_figure():
    chain = tool('fcan_ablation.py')
    table = chain.table_of({'ran_colour': [40.0, 42.0], 'ran_aan': [43.0]}).get_string()
    assert re.search(r'RAN \+ colour transfer \|\s+– \|\s+41.0 ± 1.4 \|\s+2 \|', table)
    assert re.search(r'RAN \+ AAN .*\|\s+46.21 \|\s+43.0 \|\s+1 \|', table)


def test_an_unknown_setting_fails_in_one_sentence(monkeypatch, capsys):
    message = failure('fcan_ablation.py', '--setting', 'configs/fcan/nothing', monkeypatch=monkeypatch, capsys=capsys)
    assert 'configs/fcan/nothing_fcn.py does not exist: pass a --setting' in message


def test_missing_renders_are_named_before_the_first_training(monkeypatch, capsys, tmp_path):
    rows = ('--rows', 'fcn', 'ran_aan', '--work-dir', tmp_path)
    message = failure('fcan_ablation.py', *rows, monkeypatch=monkeypatch, capsys=capsys)
    assert (
        'data/aan/gta2cs does not contain renders: create them as the header of configs/fcan/gta2cs_ran_aan.py'
        in message
    )
    assert not list(tmp_path.iterdir())
