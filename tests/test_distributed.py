"""Two gloo ranks on the CPU, through the launch scripts."""

import os
import re
import socket
import subprocess
import sys

import pytest
import torch

from .tiny import REPO, load, tiny_config


def launch(script: str, *arguments) -> str:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    env = dict(os.environ, PYTHON=sys.executable, PORT=str(port), PYTHONPATH=str(REPO), CUDA_VISIBLE_DEVICES='')
    command = ['bash', str(REPO / 'tools' / script), *map(str, arguments)]
    run = subprocess.run(command, env=env, cwd=REPO, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return run.stdout + run.stderr


@pytest.mark.slow
def test_two_ranks_share_the_data_and_stay_equal_and_are_tested_together(street_data, tmp_path):
    cfg = tiny_config('demo/streets_multilevel.py', street_data, tmp_path / 'run', iterations=3)
    aux = cfg.model.segmentor.auxiliary_head
    cfg.model.segmentor.auxiliary_head = [
        aux,
        dict(aux),
    ]  # no discriminator looks at the second: it idles on the target
    cfg.model.discriminator.aux_0 = cfg.model.discriminator.pop('aux')
    cfg.model.lambda_adv.aux_0 = cfg.model.lambda_adv.pop('aux')
    cfg.custom_imports.imports.append('tests.distributed_hook')
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='SaveRank', out_dir=str(tmp_path))]
    cfg.train_cfg.val_interval = 10
    config = tmp_path / 'two_ranks.py'
    cfg.dump(config)
    log = launch('dist_train.sh', config, 2)
    assert 'no GPU found: running on the CPU' in log

    first, second = (load(tmp_path / f'rank{r}.pth') for r in range(2))
    assert not {tuple(p) for p in first['seen']} & {tuple(p) for p in second['seen']}
    for name, weight in first['state'].items():
        torch.testing.assert_close(weight, second['state'][name], rtol=0, atol=0, msg=name)
    saved = load(tmp_path / 'run/iter_3.pth')['state_dict']
    assert not [key for key in saved if 'module.' in key]
    assert all(torch.equal(saved[name.replace('module.', '')], weight) for name, weight in first['state'].items())

    cfg.train_cfg.max_iters = 4
    cfg.dump(config)
    assert 'resumed epoch: 0, iter: 3' in launch('dist_train.sh', config, 2, '--resume')
    checkpoint = tmp_path / 'run/iter_4.pth'
    assert all(int(s['step']) == 4 for s in load(checkpoint)['optimizer']['discriminator']['state'].values())
    miou = {miou_of(launch('dist_test.sh', config, checkpoint, ranks)) for ranks in (1, 2)}
    assert len(miou) == 1


@pytest.mark.slow
def test_two_ranks_that_play_by_gradient_reversal_stay_equal(street_data, tmp_path):
    cfg = tiny_config('demo/streets_ran.py', street_data, tmp_path / 'run', iterations=2)
    cfg.model.reversal = True
    cfg.custom_imports.imports.append('tests.distributed_hook')
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='SaveRank', out_dir=str(tmp_path))]
    cfg.train_cfg.val_interval = 10
    cfg.dump(tmp_path / 'two_ranks.py')
    launch('dist_train.sh', tmp_path / 'two_ranks.py', 2)
    first, second = (load(tmp_path / f'rank{r}.pth') for r in range(2))
    assert not {tuple(p) for p in first['seen']} & {tuple(p) for p in second['seen']}
    assert {name.split('.')[0] for name in first['state']} == {'segmentor', 'discriminator'}
    trained = [n for n in first['state'] if not n.endswith(('running_mean', 'running_var'))]
    for name in trained:
        torch.testing.assert_close(first['state'][name], second['state'][name], rtol=0, atol=0, msg=name)


def miou_of(log: str) -> float:
    return float(re.findall(r' mIoU: ([0-9.]+)', log)[-1])
