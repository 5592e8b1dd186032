"""Every part of the package on a GPU: ``pytest -m gpu``. The slow tests are the same on the CPU, a rehearsal."""

import numpy as np
import onnxruntime
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.apis import inference_model, init_model
from mmseg.registry import HOOKS, TRANSFORMS
from small_networks import shrink_model
from turns import run
from waits import Waits

from mmseg_adapt.cli.launch import enable_amp
from mmseg_adapt.export import export_segmentor
from mmseg_adapt.style import AppearanceAdapter, Objective, style_of

from .test_style import images, vgg
from .tiny import CONFIGS, random_checkpoint, tiny_config

GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')]
METHODS = [  # a line adds a method
    'adaptseg/gta2cs_multilevel',
    'adaptseg/gta2cs_singlelevel_lsgan',
    'advent/gta2cs_advent',
    'advent/gta2cs_minent',
    'fcan/gta2cs_ran',
    'dacs/gta2cs_deeplabv2',
    'daformer/gta2cs_mitb5',
    'mic/gta2cs_mitb5',
    'mic/gta2cs_hrda_mitb5',
    'vfm/gta2cs_vitb',
]


@pytest.fixture(params=[pytest.param('cuda', marks=GPU), pytest.param('cpu', marks=pytest.mark.slow)])
def device(request) -> str:
    """Of the run: mmengine takes the GPU if it sees one, and tests/conftest.py hides it from all but ``-m gpu``."""
    return request.param


@HOOKS.register_module(force=True)
class Seen(Hook):
    """Keeps what the iterations returned, and the model."""

    def __init__(self) -> None:
        self.logs = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self.logs.append({name: float(value) for name, value in outputs.items()})
        self.model = runner.model


@HOOKS.register_module(force=True)
class Unwaited(Hook):
    """From the third iteration on, none of which is logged: on a GPU a wait is an error, on the CPU it is counted."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.found = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        if batch_idx < 2:
            return
        self.waits = Waits(wrapper.optimizer for wrapper in runner.optim_wrapper.values())
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode('error')
        else:
            self.waits.__enter__()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode('default')
        elif batch_idx >= 2:
            self.waits.__exit__(None, None, None)
        if batch_idx >= 2:
            self.found.append(self.waits.found)


@HOOKS.register_module(force=True)
class Profiled(Hook):
    """Profiles three iterations, none of which is logged."""

    priority = 'LOWEST'

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        if batch_idx == 2:
            torch.cuda.synchronize()
            kinds = torch.profiler.ProfilerActivity
            self.profile = torch.profiler.profile(activities=[kinds.CPU, kinds.CUDA])
            self.profile.start()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if batch_idx == 4:
            torch.cuda.synchronize()
            self.profile.stop()


def sizes_of(name: str) -> dict[str, tuple[int, int]]:
    side = 56 if name.startswith('vfm') else 64  # patches of 14 pixels
    return dict.fromkeys(('source', 'target'), (side, side))


def config(name: str) -> Config:
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    shrink_model(cfg.model)
    cfg.default_hooks.logger.interval = 50
    preprocessor = cfg.model.get('data_preprocessor') or cfg.model.segmentor.data_preprocessor
    preprocessor.bgr_to_rgb = False  # mmseg indexes with a list, for which the host waits
    return cfg


@pytest.mark.parametrize('precision', ['fp32', 'bf16', 'fp16'])
@pytest.mark.parametrize('name', METHODS)
def test_every_method_trains_in_every_precision(name, precision, device):
    cfg = config(name)
    if precision != 'fp32':
        enable_amp(cfg, precision)
    seen = run(cfg, 2, dict(type='Seen'), sizes_of(name))
    assert len(seen.logs) == 2
    assert all(np.isfinite(value) for log in seen.logs for value in log.values())
    assert all(p.device.type == device and torch.isfinite(p).all() for p in seen.model.parameters())


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])  # fp16's loss scale waits to know whether a step is finite
@pytest.mark.parametrize('name', METHODS)
def test_between_two_logs_the_host_never_waits(name, precision, device):
    cfg = config(name)
    if precision == 'bf16':
        enable_amp(cfg, precision)
    if device == 'cpu':  # where the host reads random numbers of its own, which is no wait, but is counted as one
        if 'hrda' in name:
            pytest.skip('the place of the detail crop is such a number')
        cfg.model.update({key: None for key in ('jitter', 'blur') if key in cfg.model})
    found = run(cfg, 5, dict(type='Unwaited'), sizes_of(name)).found
    assert len(found) == 3 and not any(found), found


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('name', [METHODS[0], 'mic/gta2cs_mitb5'])
def test_between_two_logs_nothing_is_copied_to_the_host(name):
    profile = run(config(name), 5, dict(type='Profiled'), sizes_of(name)).profile
    kinds = [event.name for event in profile.events()]
    assert any('Memcpy HtoD' in kind for kind in kinds)  # the batch: such copies are seen
    assert not [kind for kind in kinds if 'Memcpy DtoH' in kind]


@pytest.mark.parametrize('name', [METHODS[0], 'mic/gta2cs_mitb5'])
def test_a_compiled_channels_last_segmentor_trains_without_a_warning(name, device):
    cfg = config(name)
    compile_ = dict(dynamic=False) if device == 'cuda' else dict(backend='eager')  # Inductor takes minutes on a CPU
    cfg.default_hooks.fast = dict(type='FastSegmentorHook', channels_last=True, compile=compile_)
    seen = run(cfg, 2, dict(type='Seen'), sizes_of(name))  # every warning is an error: pyproject.toml
    assert all(np.isfinite(value) for log in seen.logs for value in log.values())


def test_a_render_is_that_of_the_cpu(device):
    found = []
    for place in ('cpu', device):
        encoder, source, pool = (x.to(place) for x in (vgg(), images(1, (48, 64)), images(2, (48, 64), seed=1)))
        adapter = AppearanceAdapter(encoder, Objective(1.0, 'balanced'), start='content', levels=((1.0, 5),))
        rendered = adapter.render(source, style_of(encoder, [pool]))
        assert rendered.images.device.type == place
        found.append(rendered.images.cpu())
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0.5)  # of 255 grey levels


def test_an_exported_graph_labels_as_the_model_on_the_gpu_does(device, street_data, tmp_path):
    cfg = tiny_config('demo/streets_multilevel.py', street_data, tmp_path)
    checkpoint = random_checkpoint(cfg, tmp_path / 'iter_2.pth')
    file = street_data / 'target/val/images/00000.png'
    model = init_model(cfg, str(checkpoint), device=device)
    labels = inference_model(model, str(file)).pred_sem_seg.data[0]
    assert labels.device.type == device
    export_segmentor(cfg, str(checkpoint), tmp_path / 'out', onnx='labels')
    session = onnxruntime.InferenceSession(tmp_path / 'out/model.onnx', providers=['CPUExecutionProvider'])
    pipeline = [step for step in cfg.test_pipeline if step.type in ('LoadImage', 'Resize')]
    image = prepared(file, pipeline)
    (graph,) = session.run(None, dict(image=image))
    assert graph.shape[1:] == labels.shape
    assert (graph[0] == labels.cpu().numpy()).mean() > 0.999


def prepared(file, pipeline: list[dict]) -> np.ndarray:
    """(1, 3, H, W) float32, RGB, as the graph reads it."""
    results = dict(img_path=str(file), seg_fields=[])
    for step in pipeline:
        results = TRANSFORMS.build(step)(results)
    return results['img'][None, ..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)


def test_two_evaluations_of_a_checkpoint_agree_to_the_bit(device, street_data, tmp_path):
    cfg = tiny_config('demo/streets_multilevel.py', street_data, tmp_path)
    cfg.load_from = str(random_checkpoint(cfg, tmp_path / 'iter_2.pth'))
    scores = []
    for i in range(2):
        cfg.experiment_name = cfg.visualizer.name = f'{tmp_path.name}_{device}_{i}'
        scores.append({name: value for name, value in Runner.from_cfg(cfg).test().items() if 'time' not in name})
    assert scores[0] == scores[1]
    assert scores[0]['mIoU'] >= 0
