"""No weights that are not finite reach the disk, by whichever door; ranks share BN's statistics and nothing else."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmseg.registry import HOOKS
from torch import nn

from mmseg_adapt.errors import UserError
from mmseg_adapt.runs import CheckpointGuardHook, checkpoint_guard_hook

from .test_resume import small
from .tiny import load, train


@HOOKS.register_module()
class PoisonWeight(Hook):
    """Makes a weight NaN after an iteration, when the other hooks have looked; a signal then ends the validation."""

    priority = 'LOWEST'

    def __init__(self, iteration: int, preempt: bool = False) -> None:
        self.iteration, self.preempt = iteration, preempt

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            next(runner.model.segmentor.parameters()).data.fill_(float('nan'))

    def before_val(self, runner):
        if self.preempt and runner.iter == self.iteration:
            next(h for h in runner.hooks if type(h).__name__ == 'PreemptionHook').received = 'SIGTERM'


@pytest.mark.parametrize('preempt', [False, True])
def test_a_validation_of_weights_that_are_not_finite_saves_nothing_and_deletes_nothing(preempt, street_data, tmp_path):
    cfg = small('demo/streets_multilevel.py', street_data, tmp_path)
    cfg.train_cfg.update(max_iters=4, val_interval=1)
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=2, save_best='mIoU', rule='greater')
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='PoisonWeight', iteration=3, preempt=preempt)]
    with pytest.raises(UserError, match='is not finite at iteration 3: lower the learning rate'):
        train(cfg)
    (best,) = tmp_path.glob('best_mIoU_*.pth')
    kept = [best, *tmp_path.glob('iter_*.pth')]
    assert {path.name for path in kept} >= {'iter_2.pth', 'iter_3.pth'}  # iteration 3's was saved before
    assert all(torch.isfinite(v).all() for path in kept for v in load(path)['state_dict'].values())


def test_every_save_is_checked(tmp_path):
    model = nn.Linear(1, 1)
    model.bias.data.fill_(float('inf'))
    runner = SimpleNamespace(model=model, work_dir=tmp_path)
    with pytest.raises(UserError, match='bias is not finite at iteration 7'):
        CheckpointGuardHook().before_save_checkpoint(runner, dict(meta=dict(iter=7)))


def test_the_mean_over_ranks_is_taken_of_bn_statistics_alone(monkeypatch):
    model = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2, track_running_stats=False))
    model.register_buffer('running_mean', torch.zeros(3))  # a momentum, a clock, a position: the rank's own
    reduced = []
    monkeypatch.setattr(checkpoint_guard_hook, 'all_reduce_params', lambda tensors, op: reduced.extend(tensors))
    CheckpointGuardHook().before_val_epoch(SimpleNamespace(model=model, iter=1))
    assert [id(t) for t in reduced] == [id(model[0].running_mean), id(model[0].running_var)]
