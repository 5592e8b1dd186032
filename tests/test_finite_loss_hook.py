"""NaN: the run stops, or the step is skipped, and the loss, its player and the iteration are named."""

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from mmseg.registry import HOOKS
from torch import nn

from mmseg_adapt.compat.cpu_amp import CPUAmpOptimWrapper
from mmseg_adapt.engine import FiniteLossHook
from mmseg_adapt.errors import UserError

from .test_health import Words
from .test_resume import small
from .tiny import load, train


@HOOKS.register_module(force=True)
class PoisonGradient(Hook):
    """Makes the gradient of one player NaN at some iterations (from 1), as an overflow would."""

    def __init__(self, player: str, iterations: list) -> None:
        self.player, self.iterations = player, iterations

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        parameter = next(p for p in getattr(runner.model, self.player).parameters() if p.requires_grad)
        if runner.iter + 1 in self.iterations:
            self.handle = parameter.register_hook(lambda gradient: gradient * float('nan'))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 in self.iterations:
            self.handle.remove()


def poisoned(street_data, folder, iterations: list, **hook):
    cfg = small('demo/streets_multilevel.py', street_data, folder)
    cfg.train_cfg.update(max_iters=4, val_interval=10)
    cfg.optim_wrapper.discriminator.accumulative_counts = 1
    cfg.default_hooks.finite_loss.update(interval=1, **hook)
    cfg.default_hooks.checkpoint.interval = 1
    poison = dict(type='PoisonGradient', player='discriminator', iterations=iterations)
    cfg.custom_hooks = [*cfg.custom_hooks, poison]
    return cfg


def test_a_skipped_step_leaves_weights_and_state_of_its_player_alone_and_the_other_moves(street_data, tmp_path):
    train(poisoned(street_data, tmp_path, [3], skip=True))
    before, after, end = (load(tmp_path / f'iter_{i}.pth') for i in (2, 3, 4))
    for name, weight in before['state_dict'].items():
        if name.startswith('discriminator'):
            assert torch.equal(weight, after['state_dict'][name]), name
    assert all(int(s['step']) == 2 for s in after['optimizer']['discriminator']['state'].values())
    assert all(int(s['step']) == 3 for s in end['optimizer']['discriminator']['state'].values())
    for name in ('segmentor.backbone.conv1.weight', 'segmentor.decode_head.conv_seg.0.weight'):
        assert not torch.equal(before['state_dict'][name], after['state_dict'][name])
    assert all(torch.isfinite(v).all() for v in end['state_dict'].values())
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert 'the gradient of the discriminator is not finite at iteration 3: its step is skipped' in log


def test_too_many_skipped_steps_in_a_row_stop_the_run_and_the_last_good_checkpoint_stays(street_data, tmp_path):
    with pytest.raises(
        UserError, match='discriminator is not finite at iteration 3, 2 times in a row: lower the learn'
    ):
        train(poisoned(street_data, tmp_path, [2, 3, 4], skip=True, max_skips=2))
    assert sorted(p.name for p in tmp_path.glob('*.pth')) == ['iter_1.pth', 'iter_2.pth']


def test_a_loss_that_is_not_finite_is_named_with_its_player_and_iteration():
    hook, runner = FiniteLossHook(interval=1), Runner()
    losses = {'decode.loss_ce': float('nan'), 'discriminator.decode.loss_dis': torch.tensor(float('inf')), 'lr': 1.0}
    runner.log(losses)
    bad = 'decode.loss_ce of the segmentor, discriminator.decode.loss_dis of the discriminator'
    message = f'{bad} is not finite at iteration 5'
    with pytest.raises(UserError, match=message):
        hook.after_train_iter(runner, 4)
    for healthy in ({'decode.loss_ce': 1.0}, {'decode.acc_seg': float('nan')}, {}):
        runner = Runner()
        runner.log(healthy)
        FiniteLossHook(interval=1).after_train_iter(runner, 4)


def test_between_two_looks_the_first_iteration_with_a_loss_that_is_not_finite_is_named():
    hook, runner = FiniteLossHook(interval=5), Runner()
    for value in (1.0, 1.0, float('inf'), float('nan'), float('nan')):
        runner.log({'decode.loss_ce': value, 'aux.loss_ce': 1.0 if value == float('inf') else value})
    with pytest.raises(UserError, match='^decode.loss_ce of the segmentor is not finite at iteration 3: '):
        hook.after_train_iter(runner, 4)


class Runner:
    iter, work_dir = 4, 'work_dirs/x'

    def __init__(self):
        self.logger, self.hooks, self.message_hub = Words(), [], MessageHub(f'finite{id(self)}')

    def log(self, losses: dict) -> None:
        for name, value in losses.items():
            self.message_hub.update_scalar(f'train/{name}', value)


def test_a_model_with_one_optimiser_skips_too():
    layer = nn.Linear(2, 1)
    runner, hook = Runner(), FiniteLossHook(skip=True)
    runner.optim_wrapper = OptimWrapper(torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9))
    hook.before_train(runner)
    before = layer.weight.clone()
    runner.optim_wrapper.update_params(layer(torch.full((1, 2), float('inf'))).sum())
    assert torch.equal(layer.weight, before)
    runner.log(dict(loss_ce=float('inf')))
    hook.after_train_iter(runner, 4)
    assert (
        'gradient of the segmentor is not finite at iteration 5 (loss_ce of the segmentor' in runner.logger.warnings[0]
    )
    runner.optim_wrapper.update_params(layer(torch.ones(1, 2)).sum())
    assert not torch.equal(layer.weight, before)


def overflow(iterations: int, **hook) -> None:
    """fp16 whose gradient is NaN although the loss is finite."""
    layer = nn.Linear(2, 1)
    runner, hook = Runner(), FiniteLossHook(**hook)
    runner.optim_wrapper = CPUAmpOptimWrapper(optimizer=torch.optim.SGD(layer.parameters(), lr=0.1), dtype='float16')
    hook.before_train(runner)
    layer.weight.register_hook(lambda gradient: gradient * float('nan'))
    before = layer.weight.clone()
    for i in range(iterations):
        runner.iter = i
        loss = layer(torch.ones(1, 2)).sum()
        runner.optim_wrapper.update_params(loss)
        assert torch.equal(layer.weight, before)
        runner.log(dict(loss_ce=loss.detach()))
        hook.after_train_iter(runner, i)


def test_steps_that_the_fp16_scaler_leaves_out_count_and_a_scale_that_has_fallen_to_nothing_stops_the_run():
    with pytest.raises(UserError, match='the segmentor is not finite at iteration 10, 10 times in a row'):
        overflow(11, skip=True)
    overflow(26, interval=1)
    with pytest.raises(
        UserError, match='the loss scale of the segmentor dropped to .* at iteration 27, because its grad'
    ):
        overflow(27, interval=1)
