"""Mixed precision for every player, on the device that there is."""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapperDict
from mmseg.registry import OPTIM_WRAPPERS
from torch import nn

from mmseg_adapt.engine.launch import enable_amp
from mmseg_adapt.errors import UserError

from .tiny import CONFIGS, tiny_config, train


@pytest.mark.parametrize(('gpu', 'expected'), [(True, 'AmpOptimWrapper'), (False, 'CPUAmpOptimWrapper')])
@pytest.mark.parametrize('name', ['adaptseg/gta2cs_multilevel.py', 'source_only/gta2cs.py'])
def test_amp_reaches_every_optimiser(name, gpu, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    cfg = Config.fromfile(CONFIGS / name)
    enable_amp(cfg)
    players = (
        [cfg.optim_wrapper]
        if 'optimizer' in cfg.optim_wrapper
        else [cfg.optim_wrapper[p] for p in ('segmentor', 'discriminator')]
    )
    assert [player.type for player in players] == [expected] * len(players)


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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_the_game_trains_in_mixed_precision_on_a_gpu(street_data, tmp_path):
    cfg = tiny_config('demo/streets_multilevel.py', street_data, tmp_path)
    enable_amp(cfg)
    runner = train(cfg)
    assert isinstance(runner.optim_wrapper, OptimWrapperDict)
    assert all(p.is_cuda and torch.isfinite(p).all() for p in runner.model.parameters())
