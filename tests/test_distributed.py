"""Two gloo ranks on the CPU: the arithmetic, and the launch scripts."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.model import revert_sync_batchnorm
from torch import nn

from mmseg_adapt.demo import streets

from . import forked
from .test_resume import small
from .tiny import REPO, load, tiny_config


@pytest.fixture(scope='module')
def two_ranks(tmp_path_factory):
    """Five iterations on two ranks, with BN in evaluation mode and in training mode; ten on one that accumulates two;
    three validation images on one rank and on two."""
    folder = tmp_path_factory.mktemp('ranks')
    data = streets.write(tmp_path_factory.mktemp('three'), source=4, target=4, val=3)
    cfg = small('demo/streets_multilevel.py', data, folder)
    cfg.model.segmentor.decode_head.dropout_ratio = 0.0  # would differ between two ranks and one
    cfg.optim_wrapper.discriminator.accumulative_counts = 1
    cfg.param_scheduler = [dict(type='ConstantLR', factor=1.0, by_epoch=False)]
    cfg.train_cfg.update(max_iters=5, val_interval=5)
    del cfg.val_dataloader.dataset.indices
    cfg.custom_imports.imports.append('tests.forked')
    cfg.dump(folder / 'eval.py')  # BN in evaluation mode
    cfg.custom_imports.imports.append('tests.distributed_hook')
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='SaveRank', out_dir='')]
    cfg.dump(folder / 'ranks.py')

    def job(name: str, config: str, *options, ranks: int = 1, tool: str = 'train.py', first: tuple = ()) -> dict:
        arguments = [folder / config, *first, '--work-dir', folder / name, '--cfg-options', f'experiment_name={name}']
        arguments = [str(argument) for argument in (*arguments, *options)]
        return dict(tool=tool, arguments=arguments, ranks=ranks, log=str(folder / f'{name}.log'))

    def saved(name: str) -> str:
        (folder / name).mkdir()
        return f'custom_hooks.1.out_dir={folder / name}'

    frozen = 'model.segmentor.backbone.norm_eval=True'
    one_by_one = [f'optim_wrapper.{player}.accumulative_counts=2' for player in ('segmentor', 'discriminator')]
    checkpoint = folder / 'two_eval' / 'iter_5.pth'
    forked.run(
        [
            job('two_eval', 'ranks.py', frozen, saved('two_eval'), ranks=2),
            job('one_eval', 'eval.py', frozen, *one_by_one, 'train_cfg.max_iters=10', 'train_cfg.val_interval=20'),
            job('two_train', 'ranks.py', saved('two_train'), 'sync_bn=torch', ranks=2),
            job('accumulated', 'ranks.py', saved('accumulated'), *one_by_one, ranks=2),
            job('tested', 'eval.py', tool='test.py', first=(checkpoint,)),
        ],
        folder,
    )
    return folder


def test_two_ranks_of_batch_one_equal_one_process_that_accumulates_two_samples(two_ranks):
    two, one = (load(two_ranks / name)['state_dict'] for name in ('two_eval/iter_5.pth', 'one_eval/iter_10.pth'))
    assert two.keys() == one.keys()
    assert {name.split('.')[0] for name in two} == {'segmentor', 'discriminator'}
    for name, value in two.items():
        torch.testing.assert_close(value, one[name], rtol=1e-6, atol=1e-6, msg=name)


@pytest.mark.parametrize('run', ['two_train', 'two_eval', 'accumulated'])
def test_the_weights_of_two_ranks_stay_equal_to_the_bit_while_they_see_different_images(run, two_ranks):
    first, second = (load(two_ranks / run / f'rank{r}.pth') for r in range(2))
    assert not {tuple(pair) for pair in first['seen'][:2]} & {tuple(pair) for pair in second['seen'][:2]}
    for name, weight in first['state'].items():
        assert torch.equal(weight, second['state'][name]), name


def test_gradients_are_reduced_once_per_player_and_step(two_ranks):
    for run, steps in (('two_train', 5), ('accumulated', 3)):
        assert load(two_ranks / run / 'rank0.pth')['reduced'] == dict(segmentor=steps, discriminator=steps)


def test_a_validation_on_two_ranks_counts_every_image_once(two_ranks):
    logs = [(two_ranks / f'{name}.log').read_text() for name in ('two_eval', 'tested')]
    tables = [re.findall(r'\|\s+(\w+)\s+\|\s+([\d.]+|nan)\s+\|\s+([\d.]+|nan)\s+\|', log) for log in logs]
    assert len(tables[0]) == 8
    assert tables[0] == tables[1]


def test_synchronised_bn_of_a_config_becomes_bn_of_every_process_without_a_gpu(two_ranks):
    first, second = (load(two_ranks / 'two_train' / f'rank{r}.pth')['state'] for r in range(2))
    assert 'segmentor.module.backbone.bn1.running_mean' in first
    assert not isinstance(revert_sync_batchnorm(nn.SyncBatchNorm(2)), nn.SyncBatchNorm)
    assert first.keys() == second.keys()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_one_config_line_synchronises_bn_on_gpus(street_data, tmp_path):
    cfg = small('demo/streets_multilevel.py', street_data, tmp_path / 'run')
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.sync_bn = 'torch'
    cfg.dump(tmp_path / 'game.py')
    log = launch(
        'dist_train.sh', tmp_path / 'game.py', 1, CUDA_VISIBLE_DEVICES=os.environ.get('CUDA_VISIBLE_DEVICES', '0')
    )
    assert 'no GPU found' not in log  # NCCL
    assert load(tmp_path / 'run/iter_2.pth')['meta']['iter'] == 2


# ------------------------------------------------------------------------------------------------------- the scripts


def environment(**more) -> dict:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    own = dict(PYTHON=sys.executable, PORT=str(port), PYTHONPATH=str(REPO), CUDA_VISIBLE_DEVICES='')
    return {**os.environ, **own, **more}


def launch(script: str, *arguments, **more) -> str:
    command = ['bash', str(REPO / 'tools' / script), *map(str, arguments)]
    run = subprocess.run(command, env=environment(**more), cwd=REPO, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return run.stdout + run.stderr


@pytest.mark.slow
def test_the_scripts_train_resume_and_test_on_two_ranks(street_data, tmp_path):
    cfg = tiny_config('demo/streets_multilevel.py', street_data, tmp_path / 'run', iterations=3)
    aux = cfg.model.segmentor.auxiliary_head
    # no discriminator looks at the second: it idles on the target
    cfg.model.segmentor.auxiliary_head = [aux, dict(aux)]
    cfg.model.discriminator.aux_0 = cfg.model.discriminator.pop('aux')
    cfg.model.lambda_adv.aux_0 = cfg.model.lambda_adv.pop('aux')
    cfg.train_cfg.val_interval = 10
    config = tmp_path / 'two_ranks.py'
    cfg.dump(config)
    assert 'no GPU found: running on the CPU' in launch('dist_train.sh', config, 2)
    saved = load(tmp_path / 'run/iter_3.pth')['state_dict']
    assert not [key for key in saved if 'module.' in key]

    cfg.train_cfg.max_iters = 4
    cfg.dump(config)
    launch('dist_train.sh', config, 2, '--resume')
    assert any('resumed epoch: 0, iter: 3' in log.read_text() for log in (tmp_path / 'run').glob('*/*.log'))
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


@pytest.fixture
def endless(street_data, tmp_path) -> Path:
    cfg = small('demo/streets_multilevel.py', street_data, tmp_path / 'run')
    cfg.train_cfg.update(max_iters=100_000, val_interval=100_000)
    cfg.dump(tmp_path / 'game.py')
    return tmp_path / 'game.py'


@pytest.mark.slow
@pytest.mark.parametrize('name', ['SIGTERM', 'SIGUSR1'])
def test_a_signal_to_the_launch_script_saves_on_all_ranks_and_exits_with_0(name, endless, tmp_path):
    log = tmp_path / 'log'
    command = ['bash', str(REPO / 'tools/dist_train.sh'), str(endless), '2']
    if name != 'SIGTERM':
        command += ['--cfg-options', f'default_hooks.preemption.signals={name}']
    with log.open('w') as out:
        job = subprocess.Popen(command, env=environment(), cwd=REPO, stdout=out, stderr=out)
        try:
            while 'Iter(train) [     2/' not in log.read_text() and job.poll() is None:
                time.sleep(0.2)
            job.send_signal(signal.Signals[name])
            code = job.wait(timeout=300)
        finally:
            job.kill()
    assert code == 0, log.read_text()[-3000:]
    assert re.search(r'saved after iteration (\d+); continue with --resume', log.read_text())
    assert damage_free(tmp_path / 'run')


def damage_free(folder: Path) -> bool:
    from mmseg_adapt.runs.checkpoint_files import newest_sound

    return newest_sound(folder) is not None


SRUN = """#!/usr/bin/env bash
# Slurm's srun on one machine: every node's task at once, each with its own SLURM_NODEID.
while [[ $1 == --* ]]; do shift; done
pids=()
for node in $(seq 0 $((SLURM_JOB_NUM_NODES - 1))); do SLURM_NODEID=$node "$@" & pids+=($!); done
for pid in "${pids[@]}"; do wait "$pid" || exit 1; done
"""


@pytest.mark.slow
def test_the_slurm_script_starts_one_launcher_per_node_and_they_train_together(street_data, tmp_path):
    for name, text in (('srun', SRUN), ('scontrol', '#!/usr/bin/env bash\nprintf "127.0.0.1\\n127.0.0.2\\n"\n')):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    cfg = small('demo/streets_multilevel.py', street_data, tmp_path / 'run')
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.dump(tmp_path / 'game.py')
    slurm = dict(SLURM_JOB_ID='1', SLURM_JOB_NODELIST='n[0-1]', SLURM_JOB_NUM_NODES='2', SLURM_SUBMIT_DIR=str(REPO))
    log = launch('slurm_train.sh', tmp_path / 'game.py', 1, **slurm, PATH=f'{tmp_path}:{os.environ["PATH"]}')
    state = load(tmp_path / 'run/iter_2.pth')['exact_resume']
    assert len(state['random']) == 2, log
    assert state['data']['samples'] == 4
