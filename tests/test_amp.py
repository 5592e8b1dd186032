"""Mixed precision for every player, on the device that there is."""

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmseg.registry import HOOKS, OPTIM_WRAPPERS
from torch import nn

from mmseg_adapt.cli.launch import enable_amp
from mmseg_adapt.errors import UserError

from .test_resume import small
from .tiny import CONFIGS, load, tiny_config, train


@pytest.mark.parametrize(('gpu', 'expected'), [(True, 'AmpOptimWrapper'), (False, 'CPUAmpOptimWrapper')])
@pytest.mark.parametrize('name', ['adaptseg/gta2cs_multilevel.py', 'source_only/gta2cs.py'])
@pytest.mark.parametrize('precision', ['auto', 'bf16', 'fp16'])
def test_amp_reaches_every_optimiser(precision, name, gpu, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    cfg = Config.fromfile(CONFIGS / name)
    enable_amp(cfg, precision)
    players = (
        [cfg.optim_wrapper]
        if 'optimizer' in cfg.optim_wrapper
        else [cfg.optim_wrapper[p] for p in ('segmentor', 'discriminator')]
    )
    dtype = 'float16' if precision == 'fp16' or (gpu and precision == 'auto') else 'bfloat16'
    assert [(player.type, player.dtype) for player in players] == [(expected, dtype)] * len(players)


def test_amp_is_refused_beside_another_wrapper():
    cfg = Config(dict(optim_wrapper=dict(type='ApexOptimWrapper', optimizer=dict(type='SGD', lr=0.1))))
    with pytest.raises(UserError, match="--amp: cannot be combined with optim_wrapper.type = 'ApexOptimWrapper'"):
        enable_amp(cfg)


def test_the_cpu_wrapper_computes_in_bfloat16_and_steps_in_float32():
    layer = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    wrapper = OPTIM_WRAPPERS.build(dict(type='CPUAmpOptimWrapper', optimizer=optimizer))
    with wrapper.optim_context(layer):
        out = layer(torch.ones(1, 4))
    assert out.dtype == torch.bfloat16
    before = layer.weight.clone()
    wrapper.update_params(out.float().sum())
    torch.testing.assert_close(before - layer.weight, torch.full((2, 4), 0.1))


@pytest.mark.parametrize(('capability', 'warned'), [('AVX2', True), ('AVX512', False)])
def test_a_processor_that_is_slow_in_half_precision_says_so(capability, warned, monkeypatch):
    said = []
    monkeypatch.setattr('mmseg_adapt.compat.cpu_amp.print_log', lambda message, *args, **kwargs: said.append(message))
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: capability)
    optimizer = torch.optim.SGD(nn.Linear(4, 2).parameters(), lr=0.1)
    OPTIM_WRAPPERS.build(dict(type='CPUAmpOptimWrapper', optimizer=optimizer))
    assert ['bfloat16' in message and '--amp' in message for message in said] == [True] * warned


@pytest.mark.parametrize(('precision', 'dtype'), [('bf16', torch.bfloat16), ('fp16', torch.float16)])
def test_the_game_trains_in_mixed_precision_on_the_cpu_and_keeps_its_loss_scales(
    precision, dtype, street_data, tmp_path
):
    cfg = small('demo/streets_multilevel.py', street_data, tmp_path)
    cfg.train_cfg.update(max_iters=3, val_interval=10)
    cfg.optim_wrapper.discriminator.accumulative_counts = 1
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='KeepDtypes')]
    enable_amp(cfg, precision)
    seen = {}

    @HOOKS.register_module(name='KeepDtypes', force=True)
    class KeepDtypes(Hook):
        def before_train(self, runner):
            self.before = {n: p.clone() for n, p in runner.model.named_parameters()}
            for player, layer in (('S', 'segmentor.backbone.conv1'), ('D', 'discriminator.decode.layers.0')):
                runner.model.get_submodule(layer).register_forward_hook(
                    lambda m, i, o, p=player: seen.setdefault(p, o.dtype) and None
                )

        def after_train(self, runner):
            parameters = dict(runner.model.named_parameters())
            seen['moved'] = {n.split('.')[0] for n, p in parameters.items() if not torch.equal(p, self.before[n])}

    train(cfg)
    assert seen == dict(S=dtype, D=dtype, moved={'segmentor', 'discriminator'})
    saved = load(tmp_path / 'iter_3.pth')
    assert all(torch.isfinite(v).all() and v.dtype != dtype for v in saved['state_dict'].values())
    scales = [saved['optimizer'][player]['loss_scaler'] for player in ('segmentor', 'discriminator')]
    assert all(bool(scale.get('scale')) == (precision == 'fp16') for scale in scales)


def test_the_cpu_wrapper_puts_its_loss_scale_back_and_skips_a_step_that_overflows():
    layer = nn.Linear(4, 2)
    cfg = dict(type='CPUAmpOptimWrapper', dtype='float16', clip_grad=dict(max_norm=1.0))
    wrapper = OPTIM_WRAPPERS.build(dict(cfg, optimizer=torch.optim.SGD(layer.parameters(), lr=0.1)))
    before = layer.weight.clone()
    wrapper.update_params(layer(torch.ones(1, 4)).sum() * float('inf'))
    assert torch.equal(layer.weight, before)
    state = wrapper.state_dict()
    assert state['loss_scaler']['scale'] == 2**15  # halved
    other = OPTIM_WRAPPERS.build(dict(cfg, optimizer=torch.optim.SGD(layer.parameters(), lr=0.1)))
    other.load_state_dict(state)
    assert other.state_dict()['loss_scaler'] == state['loss_scaler']
    other.update_params(layer(torch.ones(1, 4)).sum())
    assert (layer.weight - before).norm() < 0.11  # clipped at 1 after the scale was taken off


def test_a_dtype_that_is_no_half_precision_is_refused():
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    with pytest.raises(UserError, match="dtype = 'float8' must be one of"):
        OPTIM_WRAPPERS.build(dict(type='CPUAmpOptimWrapper', dtype='float8', optimizer=optimizer))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_the_game_trains_in_mixed_precision_on_a_gpu(precision, street_data, tmp_path):
    cfg = tiny_config('demo/streets_multilevel.py', street_data, tmp_path)
    enable_amp(cfg, precision)
    runner = train(cfg)
    assert isinstance(runner.optim_wrapper, OptimWrapperDict)
    assert all(p.is_cuda and torch.isfinite(p).all() for p in runner.model.parameters())
