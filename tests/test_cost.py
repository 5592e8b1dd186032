"""What the framework costs beside the network: nothing waits for the device between two logs, and nothing grows."""

import json
import runpy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook, LoggerHook
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.optim import DefaultOptimWrapperConstructor
from mmseg.registry import HOOKS
from small_networks import shrink_model
from torch import nn
from waits import Waits

from mmseg_adapt.cli.launch import prepare_devices, read_config
from mmseg_adapt.log import DeferredLogHook, deferred_log_hook
from mmseg_adapt.log.deferred_log_hook import gather, is_logged, push
from mmseg_adapt.methods import AdaptSegNet
from mmseg_adapt.optim import MergedOptimWrapperConstructor, optim_wrapper_constructor
from mmseg_adapt.optim.merged_groups import merge_state

from .test_adversarial import adapter, batch, optimisers
from .test_resume import STATE, small
from .tiny import CONFIGS, REPO, load, train


@HOOKS.register_module(force=True)
class WaitsHook(Hook):
    """Counts the operations, by iteration, for whose result the host would wait for a GPU."""

    priority = 'LOWEST'

    def before_train(self, runner):
        self.found = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.waits = Waits(wrapper.optimizer for wrapper in runner.optim_wrapper.values())
        self.waits.__enter__()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.waits.__exit__(None, None, None)
        self.found.append(self.waits.found)


def game(street_data, folder, **hooks) -> Config:
    """A small game, logged every five iterations and validated every ten, whose main head learns faster."""
    cfg = small('demo/streets_multilevel.py', street_data, folder)
    cfg.optim_wrapper.segmentor.paramwise_cfg = dict(custom_keys=dict(decode_head=dict(lr_mult=10.0)))
    cfg.model.lambda_adv = dict(decode=1e-4, aux=2e-5)
    cfg.default_hooks.logger.interval = 5
    cfg.default_hooks.checkpoint.interval = 7
    cfg.default_hooks.health.update(interval=5, gradient_interval=10)
    cfg.default_hooks.update(hooks)
    return cfg


@pytest.fixture(scope='module')
def played(street_data, tmp_path_factory):
    """Twenty iterations: where they waited, how often the log was read from the device, when ``train()`` was called."""
    folder, transfers, modes = tmp_path_factory.mktemp('played'), [], []
    to_host, train_mode = deferred_log_hook.to_host, AdaptSegNet.train
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deferred_log_hook, 'to_host', lambda rows: transfers.append(len(rows)) or to_host(rows))
        patch.setattr(AdaptSegNet, 'train', lambda self, mode=True: modes.append(mode) or train_mode(self, mode))
        cfg = game(street_data, folder)
        cfg.custom_hooks = [*cfg.custom_hooks, dict(type='WaitsHook')]
        runner = train(cfg)
    waits = next(hook for hook in runner.hooks if isinstance(hook, WaitsHook)).found
    return SimpleNamespace(folder=folder, transfers=transfers, modes=modes, waits=waits)


def test_between_two_logs_nothing_waits_for_the_device_and_a_log_is_one_transfer(played):
    checked = {7, 14, 20}  # a checkpoint: are its weights finite
    waits = [waits for i, waits in enumerate(played.waits, 1) if i not in checked]
    assert len(waits) == 17 and not any(waits), waits  # a transfer is none of them
    # iterations at once: at 4, where the data set ends and mmengine logs too, 7, 10, 14, 20
    assert [rows for rows in played.transfers if rows > 1] == [4, 2, 3, 4, 5]
    assert played.transfers.count(1) == 4  # those at 5 and 15, and the gradient ratio, in double precision


def test_the_model_is_set_to_training_at_the_start_and_after_a_validation_alone(played):
    assert played.modes == [True, False, True, False]  # validations after 10 and 20 iterations


def test_a_wait_is_seen():
    tensor, counter = torch.arange(3.0), torch.tensor(1.0)
    optimizer = SimpleNamespace(state=dict(p=dict(step=counter)))
    with Waits([optimizer]) as waits:
        tensor[0].item(), counter.item(), tensor[tensor > 1], tensor.nonzero(), tensor.add(1), tensor[[0, 1]]
    assert waits.found.total() == 3


def rows_of(folder) -> list[dict]:
    rows = map(json.loads, next(folder.glob('*/vis_data/scalars.json')).read_text().splitlines())
    return [{key: value for key, value in row.items() if 'time' not in key and key != 'memory'} for row in rows]


def test_the_log_holds_the_numbers_of_mmengines_own_hook(played, street_data, tmp_path):
    train(game(street_data, tmp_path, runtime_info=dict(type='RuntimeInfoHook')))
    ours, theirs = rows_of(played.folder), rows_of(tmp_path)
    assert [row['step'] for row in ours] == [4, 5, 10, 10, 15, 20, 20]
    assert ours == theirs
    assert {'segmentor.lr', 'decode.acc_seg', 'gradient_ratio', 'share.aux.adv'} <= ours[2].keys()


def test_a_checkpoint_between_two_logs_holds_the_history_so_far(played):
    histories = load(played.folder / 'iter_7.pth')['message_hub']['log_scalars']
    assert {len(histories[f'train/{name}'].data[0]) for name in ('decode.loss_ce', 'segmentor.lr', 'time')} == {7}


def test_small_losses_can_be_read_on_the_console_and_the_json_is_as_it_was(played):
    lines = next(played.folder.glob('*/*.log')).read_text().splitlines()
    line, row = next(line for line in lines if 'Iter(train)' in line), rows_of(played.folder)[0]
    assert row['aux.loss_adv'] < 1e-4
    assert f'  aux.loss_adv: {row["aux.loss_adv"]:.4g}  ' in f'{line}  '
    assert f'  decode.loss_ce: {row["decode.loss_ce"]:.4f}  ' in line


def runner_of(hook: Hook, *others: Hook, window: object = 10, name: str = 'cost') -> SimpleNamespace:
    return SimpleNamespace(
        hooks=[hook, *others],
        message_hub=MessageHub(name),
        log_processor=SimpleNamespace(window_size=10, custom_cfg=[dict(data_src='loss', window_size=window)]),
        train_dataloader=SimpleNamespace(dataset=None, __len__=None),
        epoch=0,
        iter=0,
        max_epochs=1,
        max_iters=9,
    )


@pytest.mark.parametrize(('window', 'kept'), [(10, 1000), (1200, 1200), ('global', 3000)])
def test_a_history_is_as_long_as_the_longest_window(window, kept):
    hook = DeferredLogHook()
    runner = runner_of(hook, window=window)
    values = np.arange(2995.0)
    runner.message_hub.log_scalars['train/loss'] = HistoryBuffer(values, np.ones(2995))
    hook.before_train(runner)
    for i in range(5):
        hook.keep(dict(loss=torch.tensor(2995.0 + i, requires_grad=True)))
    gather(runner)
    log, counts = runner.message_hub.log_scalars['train/loss'].data
    assert log.tolist() == list(range(3000 - kept, 3000))
    assert len(counts) == kept


def test_a_value_is_that_of_its_iteration_though_its_tensor_has_changed_since():
    hook = DeferredLogHook()
    runner, state = runner_of(hook), torch.tensor(1.0)
    hook.keep(dict(ratio=state, count=torch.tensor([3]), lr=0.1, half=torch.tensor(0.5).bfloat16()))
    state += 1
    push(runner, 'ratio', state)
    assert not runner.message_hub.log_scalars
    gather(runner)
    found = {name: history.data[0].tolist() for name, history in runner.message_hub.log_scalars.items()}
    assert found == {'train/lr': [0.1], 'train/ratio': [1.0, 2.0], 'train/count': [3], 'train/half': [0.5]}


def test_without_the_hook_a_value_is_logged_at_once():
    runner = runner_of(Hook())
    push(runner, 'ratio', torch.tensor(2.0))
    gather(runner)
    assert runner.message_hub.get_scalar('train/ratio').current() == 2.0


@pytest.mark.parametrize(
    ('batches', 'ignore_last', 'logged'), [(100, True, [4, 9]), (7, False, [4, 6, 9]), (3, True, [2, 4, 9])]
)
def test_an_iteration_is_logged_where_mmengines_logger_logs(batches, ignore_last, logged):
    logger = LoggerHook(interval=5, ignore_last=ignore_last)
    runner = SimpleNamespace(hooks=[Hook(), logger], train_dataloader=range(batches), iter=0)
    assert [i for i in range(10) if is_logged(runner, i)] == logged
    runner.iter = 4
    assert is_logged(runner)
    assert not is_logged(SimpleNamespace(hooks=[], iter=4))


def test_groups_of_equal_settings_are_merged_and_twenty_iterations_are_the_same_to_the_bit(monkeypatch):
    ours, theirs = adapter().float(), adapter().float()
    wrappers = optimisers(ours)
    monkeypatch.setattr(optim_wrapper_constructor, 'MergedOptimWrapperConstructor', DefaultOptimWrapperConstructor)
    unmerged = optimisers(theirs)
    repeats = [(group['lr'], group['repeats']) for group in wrappers['segmentor'].optimizer.param_groups]
    assert repeats == [(1e-3, 1), (1e-3, 3), (1e-2, 1)]
    assert len(unmerged['segmentor'].optimizer.param_groups) > 25
    for t in range(20):
        data = batch(t)
        for domain in data.values():
            domain['inputs'] = [image.float() for image in domain['inputs']]
        ours.train_step(data, wrappers), theirs.train_step(data, unmerged)
    for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values()):
        assert torch.equal(a, b), name


def test_a_checkpoint_with_a_group_per_parameter_resumes_to_the_bit(played, street_data, tmp_path, monkeypatch):
    with monkeypatch.context() as old:
        old.setattr(optim_wrapper_constructor, 'MergedOptimWrapperConstructor', DefaultOptimWrapperConstructor)
        train(game(street_data, tmp_path / 'old'))
    file = tmp_path / 'old/iter_7.pth'
    cfg = game(street_data, tmp_path / 'new')
    cfg.merge_from_dict(dict(resume=True, load_from=str(file)))
    train(cfg)
    whole, resumed = load(played.folder / 'iter_20.pth'), load(tmp_path / 'new/iter_20.pth')
    assert len(load(file)['optimizer']['segmentor']['param_groups']) > 25
    assert len(resumed['optimizer']['segmentor']['param_groups']) == 2
    for key in STATE:
        same(whole[key], resumed[key], key)
    assert 'follow the config' not in next((tmp_path / 'new').glob('*/*.log')).read_text()


def same(a, b, where: str) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            same(a[key], b[key], f'{where}.{key}')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b)):
            same(x, y, f'{where}.{i}')
    else:
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b, where


def plain_wrapper(**paramwise):
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    cfg = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01))
    return MergedOptimWrapperConstructor(cfg, paramwise)(model)


def test_old_groups_that_become_one_leave_no_base_settings_behind():
    wrapper = plain_wrapper(custom_keys={'nothing': dict(lr_mult=2)})
    old = dict(
        state={i: dict(step=i) for i in range(6)},
        param_groups=[dict(lr=1e-3, params=[i]) for i in range(6)],
        base_param_settings=dict(lr=1e-3),
    )
    schedule = dict(base_values=[1e-3] * 7, _last_value=[5e-4] * 7, last_step=3)
    merge_state(old, [schedule], wrapper)
    assert old == dict(state={i: dict(step=i) for i in range(6)}, param_groups=[dict(lr=1e-3, params=list(range(6)))])
    assert schedule == dict(base_values=[1e-3], _last_value=[5e-4], last_step=3)


def test_a_state_follows_its_parameter_where_groups_alternate():
    wrapper = plain_wrapper(norm_decay_mult=0.0, bias_decay_mult=0.0)
    assert [len(group['params']) for group in wrapper.optimizer.param_groups] == [2, 4]
    old = dict(
        state={i: dict(step=i) for i in range(6)}, param_groups=[dict(lr=float(i), params=[i]) for i in range(6)]
    )
    schedule = dict(base_values=[*range(6), 9], _last_value=[*range(6), 9])
    merge_state(old, [schedule], wrapper)
    assert [old['state'][i]['step'] for i in range(6)] == [0, 4, 1, 2, 3, 5]
    assert old['param_groups'] == [dict(lr=0.0, params=[0, 1]), dict(lr=1.0, params=[2, 3, 4, 5])]
    assert schedule == dict(base_values=[0, 1, 9], _last_value=[0, 1, 9])
    merged = dict(old)
    merge_state(merged, [], wrapper)
    assert merged == old  # a new checkpoint stays as it is


def test_a_parameter_in_two_places_is_refused_as_ever():
    layer = nn.Linear(2, 2)
    cfg = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-3))
    tied = nn.ModuleList([layer, nn.Linear(2, 2)])
    tied[1].weight = layer.weight
    with pytest.raises(ValueError, match='more than one parameter group'):
        MergedOptimWrapperConstructor(cfg, dict(bias_lr_mult=2.0))(tied)


def test_a_stock_config_gets_the_cheap_log_and_merged_groups(tmp_path, monkeypatch):
    file = tmp_path / 'stock.py'
    file.write_text("optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))\ntrain_dataloader = dict(batch_size=1)\n")
    args = SimpleNamespace(config=str(file), cfg_options=None, launcher='none', work_dir=None, local_rank=0)
    cfg = read_config(args)
    assert cfg.default_hooks.runtime_info.type == 'DeferredLogHook'
    assert cfg.optim_wrapper.constructor == 'MergedOptimWrapperConstructor'
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    prepare_devices(cfg)
    assert cfg.train_dataloader.pin_memory


def test_the_benchmark_runs_without_the_tests_and_counts_no_wait():
    source = (REPO / 'tools/analysis/benchmark_train.py').read_text()
    assert 'tests' not in [word for line in source.splitlines() if 'import' in line for word in line.split()]
    tool = runpy.run_path(str(REPO / 'tools/analysis/benchmark_train.py'), run_name='benchmark')
    cfg = Config.fromfile(CONFIGS / 'adaptseg/gta2cs_multilevel.py')
    cfg.model.segmentor.backbone.init_cfg = None
    tool['thin'](cfg, 2)
    cfg.model.segmentor.backbone.depth = 18
    cfg.model.segmentor.decode_head.in_channels, cfg.model.segmentor.auxiliary_head.in_channels = 16, 8
    cfg.default_hooks.logger.interval = 4
    rows = {row[0]: row[1:] for row in tool['table_of'](cfg, (64, 64), 4, history=1000).rows}
    assert rows['waits per iteration'][0] == '0'
    assert float(rows['CPU ms per iteration'][1]) > 0


def test_the_memory_of_a_model_that_reads_its_tensors_when_it_is_built_is_measured():
    tool = runpy.run_path(str(REPO / 'tools/analysis/memory.py'), run_name='memory')
    cfg = Config.fromfile(CONFIGS / 'adaptseg/gta2cs_segformer_b0.py')
    cfg.merge_from_dict({'model.segmentor.backbone.num_layers': [1, 1, 1, 1]})
    found = tool['measure'](cfg)
    assert 0 < found['state'] < found['activations'] < found['total']


def test_the_memory_of_a_method_that_keeps_further_networks_is_measured():
    tool = runpy.run_path(str(REPO / 'tools/analysis/memory.py'), run_name='memory')
    found = {}
    for name in ('dacs', 'daformer'):  # DAFormer keeps an ImageNet network beside DACS's student and teacher
        cfg = Config.fromfile(CONFIGS / f'{name}/gta2cs_mitb5.py')
        shrink_model(cfg.model)
        found[name] = tool['measure'](cfg, dict(source=(64, 64), target=(64, 64)))
    assert found['daformer']['state'] > found['dacs']['state'] > 0
    assert found['daformer']['activations'] > 0
