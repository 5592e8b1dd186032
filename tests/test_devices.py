"""Nothing of an iteration stays on the CPU where the weights are on a GPU: shown without one.

On fake tensors, which have shapes and devices but no data, an operation on two devices raises as it would on a GPU.
Only the backward pass, which makes no tensor of its own, needs the device.
"""

import runpy

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmseg.registry import MODELS
from small_networks import shrink_model
from torch._subclasses.fake_tensor import FakeTensorMode
from waits import COPIES, Waits

from mmseg_adapt.datasets.streams import domains_of
from mmseg_adapt.runs.exact_resume_hook import _steps_to_cpu
from mmseg_adapt.style import AppearanceAdapter, Objective, VGGStyleEncoder, style_of

from .tiny import CONFIGS, REPO

GAMES = [
    'demo/streets_multilevel.py',
    'demo/streets_target_bn.py',
    'demo/streets_ran.py',
    'real/carla2camvid_singlelevel_lsgan.py',
    'real/carla2camvid_fcan_ada.py',
    'real/carla2camvid_advent.py',
    'real/carla2camvid_minent.py',
    'adaptseg/gta2cs_featurelevel.py',
    'adaptseg/gta2cs_vgg16_singlelevel.py',
    'adaptseg/gta2cs_deeplabv3plus_r50.py',
    'fcan/gta2cs_ran_semi50.py',
    'source_only/gta2cs.py',
]
SELF_TRAINING = ['dacs/gta2cs_deeplabv2.py', 'mic/gta2cs_deeplabv2.py']


@pytest.fixture
def without_backward(monkeypatch):
    """Nothing goes backward, in the losses that are computed image by image neither."""
    monkeypatch.setattr(OptimWrapper, 'backward', lambda self, loss: None)
    monkeypatch.setattr(OptimWrapper, 'step', lambda self: None)
    monkeypatch.setattr(torch.autograd, 'grad', lambda value, image: (torch.zeros_like(image),))


@pytest.fixture
def tool():
    return runpy.run_path(str(REPO / 'tools/analysis/memory.py'), run_name='memory')


@pytest.mark.parametrize('name, options', [*((name, {}) for name in GAMES), (GAMES[0], {'model.reversal': True})])
def test_every_loss_of_a_game_is_on_the_gpu_of_its_weights(name, options, tool, without_backward):
    cfg = Config.fromfile(CONFIGS / name)
    cfg.merge_from_dict(options)
    cfg.model.get('segmentor', cfg.model).backbone.init_cfg = None
    with FakeTensorMode():
        with torch.device('cuda'):
            model = MODELS.build(cfg.model).train()
        model.data_preprocessor.to(torch.device('cuda'))
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        domains = domains_of(cfg.train_dataloader.dataset)
        with tool['LiveTensors']([]):
            data = {domain: tool['batch_of']((256, 512), 2, labels=domain != 'target') for domain in domains}
            log = model.train_step(data if 'target' in data else data['source'], wrapper)
    assert {value.device.type for value in log.values()} == {'cuda'}
    assert any('loss' in key for key in log)


@pytest.mark.parametrize('name', [GAMES[0], GAMES[5], *SELF_TRAINING])
def test_no_copy_to_the_gpu_makes_the_host_wait(name, tool, without_backward):
    cfg = Config.fromfile(CONFIGS / name)
    if name in SELF_TRAINING:
        shrink_model(cfg.model)
    cfg.model.segmentor.data_preprocessor.bgr_to_rgb = False  # mmseg indexes with a list, for which the host waits
    with FakeTensorMode():
        with torch.device('cuda'):
            model = MODELS.build(cfg.model).train()
        model.data_preprocessor.to(torch.device('cuda'))
        model.clock.runs = True
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        data = {domain: tool['batch_of']((256, 512), 2, labels=domain == 'source') for domain in ('source', 'target')}
        with tool['LiveTensors']([]), Waits() as waits:
            log = model.train_step(data, wrapper)
            copies = waits.found.copy()
            next(iter(log.values())).to('cpu')
    assert {value.device.type for value in log.values()} == {'cuda'}
    assert not {str(func) for func in COPIES} & copies.keys()
    assert {str(func) for func in COPIES} & waits.found.keys()  # a copy that waits is seen


def test_the_objective_of_a_render_is_on_the_gpu_of_the_image():
    with FakeTensorMode():
        with torch.device('cuda'):
            encoder, image = VGGStyleEncoder(('relu1_1', 'relu2_1')), torch.zeros(2, 3, 32, 48)
        adapter = AppearanceAdapter(encoder, Objective(1.0, 'balanced'))
        with torch.no_grad():
            style = style_of(encoder, [image])
            loss = adapter.objective(adapter.features(image), adapter.features(image), style)
    assert loss.device.type == 'cuda' and loss.shape == (2,)


@pytest.mark.parametrize('named', [False, True])
def test_a_resumed_adam_counts_its_steps_on_the_cpu_unless_it_is_fused(named):
    def state(**group) -> dict:
        entry = {'step': torch.zeros((), device='cuda'), 'exp_avg': torch.zeros(2, device='cuda')}
        return dict(state={0: entry}, param_groups=[dict(lr=1e-4, **group)])

    with FakeTensorMode():
        plain, fused = state(), state(fused=True)
        for optimizers in [dict(segmentor=plain, discriminator=fused)] if named else [plain, fused]:
            _steps_to_cpu(optimizers)
    assert plain['state'][0]['step'].device.type == 'cpu'
    assert plain['state'][0]['exp_avg'].device.type == 'cuda'
    assert fused['state'][0]['step'].device.type == 'cuda'
