"""HRDA through whole runs: resume, export, ONNX, and what does not fit."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmseg.apis import init_model
from mmseg.registry import HOOKS, MODELS

from mmseg_adapt.errors import UserError
from mmseg_adapt.export import export_segmentor, graph

from .test_resume import STATE, assert_equal, small
from .tiny import load, random_checkpoint, train


@HOOKS.register_module(name='StopAfterIteration', force=True)
class StopAfter(Hook):
    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        runner.train_loop.stop_training = runner.iter + 1 == self.iteration


def config_of(data: Path, folder: Path):
    """MIC with HRDA on the small network: context 48×96 at half size, detail 16×48."""
    cfg = small('demo/streets_mic.py', data, folder)
    cfg.model.mask.update(begin=0, ramp=0, block=8)
    head = dict(cfg.model.segmentor.decode_head)
    cfg.model.segmentor.update(type='HRDASegmentor', detail_crop=(16, 48), attention_head=head)
    cfg.model.segmentor.backbone.update(type='ResNetV1c', strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    cfg.model.segmentor.backbone.update(contract_dilation=True, norm_eval=False)
    cfg.model.segmentor.test_cfg = dict(mode='slide', crop_size=(48, 96), stride=(24, 48))
    cfg.optim_wrapper.segmentor.pop('accumulative_counts')
    cfg.train_cfg.val_interval = 100
    return cfg


def test_a_resumed_hrda_is_the_uninterrupted_one_to_the_bit(street_data, tmp_path):
    def run(folder: str, iterations: int, resume: Path | None = None, **hooks) -> dict:
        cfg = config_of(street_data, tmp_path / folder)
        cfg.train_cfg.max_iters = 4
        cfg.custom_hooks = [*cfg.custom_hooks, dict(type='StopAfterIteration', iteration=iterations)]
        cfg.default_hooks.checkpoint.interval = 2
        cfg.default_hooks.update(hooks)
        cfg.resume, cfg.load_from = bool(resume), resume and str(resume)
        train(cfg)
        return load(tmp_path / folder / f'iter_{iterations}.pth')

    whole = run('whole', 4)
    card = dict(type='ActivationCheckpointHook', blocks=('backbone.layer1', 'backbone.layer4'))
    run('half', 2, small_card=card)  # which changes no bit
    resumed = run('half', 4, tmp_path / 'half/iter_2.pth')
    for part in STATE:
        assert_equal(resumed[part], whole[part], 0, part)
    state = whole['state_dict']
    weights = [state[f'{part}.attention_head.conv_seg.0.weight'] for part in ('segmentor', 'teacher')]
    assert not torch.equal(*weights)


@pytest.fixture(scope='module')
def exported(street_data, tmp_path_factory) -> tuple[Config, Path]:
    folder = tmp_path_factory.mktemp('hrda')
    cfg = config_of(street_data, folder / 'run')
    checkpoint = random_checkpoint(cfg, folder / 'run/iter_2.pth')
    cfg.dump(folder / 'trained.py')
    export_segmentor(Config.fromfile(folder / 'trained.py'), str(checkpoint), folder / 'out', onnx='probabilities')
    return cfg, folder


@torch.no_grad()
def test_an_exported_hrda_is_one_model_that_predicts_as_the_student_does(exported):
    cfg, folder = exported
    model = init_model(Config.fromfile(folder / 'out/config.py'), str(folder / 'out/model.pth'), device='cpu')
    student = MODELS.build(cfg.model).eval()
    student.load_state_dict(load(folder / 'run/iter_2.pth')['state_dict'])
    images = torch.randn(1, 3, 48, 144)
    found = [m.predict(images)[0].seg_logits.data for m in (model, student.segmentor)]
    assert torch.equal(*found)
    assert found[0].std() > 1e-4


def test_its_graph_has_the_size_of_a_window_and_sliding_py_takes_any(exported):
    _, folder = exported
    card = (folder / 'out/README.md').read_text()
    assert 'N = 1, 48×96' in card and 'for images of another size, use sliding.py' in card
    session = onnxruntime.InferenceSession(str(folder / 'out/model.onnx'))
    assert session.get_inputs()[0].shape == [1, 3, 48, 96]
    model = init_model(Config.fromfile(folder / 'out/config.py'), str(folder / 'out/model.pth'), device='cpu')
    (image,) = graph.images(((48, 96),), count=1)
    p = session.run(None, {'image': image.numpy()})[0]
    assert np.abs(p - graph.deployed(model, image)[0].numpy()).max() < 1e-4


def test_an_hrda_that_is_not_tested_in_windows_has_no_graph(exported, tmp_path):
    cfg, folder = exported
    cfg = Config.fromfile(folder / 'trained.py')
    cfg.model.segmentor.test_cfg = dict(mode='whole')
    with pytest.raises(
        UserError, match='the graph of HRDASegmentor takes one sliding window, so it needs its size: set'
    ):
        export_segmentor(cfg, str(folder / 'run/iter_2.pth'), tmp_path / 'out', onnx='probabilities')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            dict(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)),
            'its logits have a stride of 16 pixels: choose a backbone and a head whose stride divides 8',
        ),
        (
            dict(detail_crop=(24, 48)),
            r'detail_crop = \(24, 48\): windows overlap by half, so .* multiples of 16, twice',
        ),
        (dict(size=(40, 96)), 'an image of 40×96: both sides must be multiples of 16; crop or resize'),
    ],
)
def test_what_falls_between_the_cells_of_the_logits_is_refused(change, message, street_data, tmp_path):
    segmentor = config_of(street_data, tmp_path).model.segmentor
    size = change.pop('size', (48, 96))
    segmentor.detail_crop = change.pop('detail_crop', segmentor.detail_crop)
    segmentor.backbone.update(change)
    with pytest.raises(UserError, match=message):
        MODELS.build(segmentor).train()(torch.zeros(2, 3, *size), mode='tensor')
