"""Our code against figures that the authors' released code printed for the same seeded weights and images.

``reference/seeded.py`` draws every tensor from its released key name; ``reference/adaptsegnet_figures.json`` holds what
the released code computed (PyTorch 2.14, CPU, float32).

What depends on rounding is computed here in double precision, so that a gap is the same on every machine and is the
figures' own rounding: the seeded weights give logits of several thousand and amplify it from iteration to iteration.
In float32 the gap depends on the instruction set and the number of threads: on one machine the second iteration's
losses were equal to 4e-6, on another to 5e-3.
"""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import DATASETS, HOOKS, MODELS
from mmseg.structures import SegDataSample
from torch.utils.data import Dataset

from mmseg_adapt.weights.convert import convert, convert_discriminator
from mmseg_adapt.weights.released import DISCRIMINATORS, LAYOUTS, Layout

from .reference import seeded

REFERENCE = Path(__file__).parent / 'reference'
CONFIGS = Path(__file__).parents[1] / 'configs'
FIGURES = json.loads((REFERENCE / 'adaptsegnet_figures.json').read_text())


def release(state: dict, layout: Layout, prefix: str) -> dict[str, torch.Tensor]:
    """Seeded weights under the keys of the released code, whose classifiers have four convolutions."""
    keys = [key for key in state if not key.endswith('num_batches_tracked')]
    shapes = {layout.released(key): tuple(state[key].shape) for key in keys}
    for key in [key for key in shapes if 'conv2d_list.0.' in key]:
        shapes.update({key.replace('list.0.', f'list.{i}.'): shapes[key] for i in range(1, 4)})
    return {key: torch.from_numpy(seeded.tensor(prefix, key, shape)) for key, shape in shapes.items()}


def seed_segmentor(segmentor: torch.nn.Module, released: dict) -> None:
    own = segmentor.state_dict()
    segmentor.load_state_dict(convert(released, 'seeded', own, branches=2).state)


def seed_discriminator(module: torch.nn.Module, prefix: str) -> None:
    released = release(module.state_dict(), DISCRIMINATORS['discriminator'], prefix)
    module.load_state_dict(convert_discriminator(released, 'seeded').state)


def model_config(name: str, **overrides) -> Config:
    cfg = Config.fromfile(CONFIGS / name)
    segmentor = cfg.model.segmentor if 'segmentor' in cfg.model else cfg.model
    segmentor.backbone.init_cfg = None
    segmentor.data_preprocessor.update(mean=None, std=None)  # the seeded images are BGR minus mean already
    return cfg


@pytest.fixture(scope='module')
def released() -> dict[str, torch.Tensor]:
    """A multi-level checkpoint of the released code."""
    with torch.device('meta'):
        model = MODELS.build(model_config('adaptseg/gta2cs_multilevel.py').model.segmentor)
    return release(model.state_dict(), LAYOUTS['multi'], 'G.')


@pytest.fixture(scope='module')
def segmentor(released):
    model = MODELS.build(model_config('adaptseg/gta2cs_multilevel.py').model.segmentor)
    seed_segmentor(model, released)
    return model.eval()


@pytest.fixture(scope='module')
def eval_outputs(segmentor):
    source, _, _ = seeded.batch(0)
    with torch.no_grad():
        return segmentor(torch.from_numpy(source), mode='tensor')


@pytest.mark.parametrize(('level', 'figure'), [('decode', 'main'), ('aux', 'aux')])
def test_logits_of_both_heads_equal_the_released_codes(eval_outputs, level, figure):
    logits = eval_outputs[level]
    assert list(logits.shape) == FIGURES['eval_forward']['shape']
    ours = logits.flatten()[::97][:40].numpy()
    theirs = np.array(FIGURES['eval_forward'][figure])
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


def drop(state: dict, layer: str) -> dict:
    return {key: value for key, value in state.items() if not key.startswith(layer)}


def scaled(state: dict, factor: float, *branches: int) -> dict:
    """Classifiers multiplied by ``factor``, or only some of their convolutions."""
    chosen = tuple(f'conv2d_list.{i}.' for i in branches or range(4))
    return {key: value * factor if any(name in key for name in chosen) else value for key, value in state.items()}


def renamed(state: dict, old: str, new: str) -> dict:
    return {key.replace(old, new): value for key, value in state.items()}


# format → the multi-level checkpoint in that format, so that its main head still gives the reference's logits
FORMATS = {
    'multi': lambda s: s,
    'multi in DataParallel': lambda s: {f'module.{key}': value for key, value in s.items()},
    'multi4': lambda s: scaled(s, 0.0, 2, 3),  # ADVENT applies all four
    'single': lambda s: renamed(drop(s, 'layer5'), 'layer6', 'layer5'),
    'advent_single': lambda s: scaled(drop(s, 'layer5'), 0.0, 2, 3),
    'clan': lambda s: scaled(renamed(drop(s, 'layer5'), 'layer6', 'layer5') | drop(s, 'layer5'), 0.5),
    'init': lambda s: {f'Scale.{k}': v for k, v in renamed(drop(s, 'layer5'), 'layer6', 'layer5').items()},
}


@pytest.mark.parametrize('name', FORMATS)
def test_a_checkpoint_in_each_released_format_gives_the_logits_of_the_released_code(
    name, released, segmentor, eval_outputs
):
    source = FORMATS[name](released)
    kind = name.split()[0]
    branches = 4 if kind in ('multi4', 'advent_single') else 2
    own = {k: v for k, v in segmentor.state_dict().items() if kind.startswith('multi') or 'auxiliary' not in k}
    if branches == 4:  # a config with all four rates: ours here has two, so the other two are looked at as tensors
        own.update({k.replace('seg.0', f'seg.{i}'): own[k] for k in list(own) if 'seg.0' in k for i in (2, 3)})
    found = convert({'state_dict': source}, 'file.pth', own, branches)
    assert found.name == LAYOUTS[kind.removesuffix('4')].name
    if branches == 4:
        assert not any(found.state.pop(k).any() for k in list(found.state) if k.split('.')[-2] in '23' and 'seg' in k)
    ours = segmentor.state_dict()
    assert all(torch.equal(ours[k], v) for k, v in found.state.items() if k.startswith('backbone.'))
    heads = {k.removeprefix('decode_head.'): v for k, v in found.state.items() if k.startswith('decode_head.')}
    head = copy.deepcopy(segmentor.decode_head)
    head.load_state_dict(heads, strict=True)
    with torch.no_grad():
        logits = head.cls_seg(eval_outputs['backbone']).flatten()[::97][:40].numpy()
    theirs = np.array(FIGURES['eval_forward']['main'])
    np.testing.assert_allclose(logits, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())
    assert not found.missing


def test_scores_of_the_discriminator_equal_the_released_codes(segmentor):
    discriminator = MODELS.build(dict(type='OutputSpaceDiscriminator', in_channels=19))
    seed_discriminator(discriminator, 'D1.')
    source, _, _ = seeded.batch(0)
    with torch.no_grad():
        logits = copy.deepcopy(segmentor).double()(torch.from_numpy(source).double(), mode='tensor')['decode']
        logits = torch.nn.functional.interpolate(logits, (96, 160), mode='bilinear', align_corners=True)
        scores = discriminator.double()(logits.softmax(1))
    assert list(scores.shape) == FIGURES['discriminator']['shape']
    np.testing.assert_allclose(scores.flatten().numpy(), FIGURES['discriminator']['values'], rtol=0, atol=3e-5)


@DATASETS.register_module()
class SeededPairs(Dataset):
    """Iteration t's seeded source and target as the only sample number t."""

    metainfo = dict(classes=tuple(map(str, range(19))))
    source = target = range(6)
    domains = dict(source=source, target=target)

    def __len__(self):
        return 6

    def __getitem__(self, pair):
        xs, ys, xt = seeded.batch(pair[0])
        samples = {}
        for domain, image in (('source', xs), ('target', xt)):
            sample = SegDataSample(metainfo=dict(img_shape=image.shape[2:], ori_shape=image.shape[2:]))
            if domain == 'source':
                sample.gt_sem_seg = PixelData(data=torch.from_numpy(ys))
            samples[domain] = dict(inputs=torch.from_numpy(image[0]), data_samples=sample)
        return samples


@HOOKS.register_module()
class SeedWeightsAndRecord(Hook):
    """Puts the seeded weights in before training, in double precision, and keeps what every iteration logs."""

    released: dict

    def __init__(self):
        self.losses = []

    def before_train(self, runner):
        seed_segmentor(runner.model.segmentor, self.released)
        for level, prefix in (('aux', 'D1.'), ('decode', 'D2.')):
            if level in runner.model.discriminator:
                seed_discriminator(runner.model.discriminator[level], prefix)
        runner.model.double()
        runner.model.segmentor.register_forward_pre_hook(lambda module, args: (args[0].double(), *args[1:]))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append({name: float(value) for name, value in outputs.items()})


def losses_of(cfg: Config, work_dir: Path, released: dict, iterations: int = 6) -> list[dict]:
    SeedWeightsAndRecord.released = released
    cfg.train_dataloader = dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type='DomainPairSampler', shuffle=False),
        dataset=dict(type='SeededPairs'),
    )
    for key in ('val_dataloader', 'val_evaluator', 'val_cfg', 'test_dataloader', 'test_evaluator', 'test_cfg'):
        cfg.pop(key)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations)
    cfg.default_hooks.update(checkpoint=None)  # left out, it is the runner's own: a file of 830 MB
    cfg.default_hooks.pop('visualization')
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='SeedWeightsAndRecord')]
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = work_dir.name
    runner = Runner.from_cfg(cfg)
    runner.train()
    return next(hook for hook in runner.hooks if isinstance(hook, SeedWeightsAndRecord)).losses


@pytest.mark.parametrize(
    ('variant', 'iterations'),  # the second iteration is the first that differs between the variants
    [
        ('as_released', 2),
        pytest.param('as_released', 6, marks=pytest.mark.slow),
        pytest.param('unique_parameters', 6, marks=pytest.mark.slow),
    ],
)
def test_multi_level_iterations_through_the_runner_equal_the_released_codes(variant, iterations, released, tmp_path):
    cfg = model_config('adaptseg/gta2cs_multilevel.py')
    if variant == 'unique_parameters':
        for group in cfg.optim_wrapper.segmentor.paramwise_cfg.custom_keys.values():
            group.pop('repeats', None)
    weights = {
        'loss_seg_aux': ('aux.loss_ce', 0.1),
        'loss_seg_main': ('decode.loss_ce', 1.0),
        'loss_adv_aux': ('aux.loss_adv', 0.0002),
        'loss_adv_main': ('decode.loss_adv', 0.001),
        'loss_d_aux': ('discriminator.aux.loss_dis', 1.0),
        'loss_d_main': ('discriminator.decode.loss_dis', 1.0),
    }
    ours = losses_of(cfg, tmp_path, released, iterations)
    assert_losses_equal(ours, FIGURES['multi_level'][variant][:iterations], weights)


@pytest.mark.slow
def test_six_least_squares_iterations_through_the_runner_equal_the_released_codes(released, tmp_path):
    cfg = model_config('adaptseg/gta2cs_singlelevel_lsgan.py')
    for group in cfg.optim_wrapper.segmentor.paramwise_cfg.custom_keys.values():
        group.pop('repeats', None)
    weights = {
        'loss_seg_main': ('decode.loss_ce', 1.0),
        'loss_adv_main': ('decode.loss_adv', 0.01),
        'loss_d_main': ('discriminator.decode.loss_dis', 1.0),
    }
    figures = FIGURES['single_level_lsgan']['unique_parameters']
    assert_losses_equal(losses_of(cfg, tmp_path, released), figures, weights)


def assert_losses_equal(ours: list[dict], theirs: list[dict], weights: dict) -> None:
    """To 5e-5 at the first iteration, to 2 % at the second, to 15 % at the four that follow.

    The two ways to hold the parameters differ by 7 % at the second iteration. That our later iterations are the paper's
    is shown to 1e-9 by test_adversarial.py, against its loop in double precision.
    """
    assert len(ours) == len(theirs)
    for t, (own, released) in enumerate(zip(ours, theirs)):
        for name, (key, weight) in weights.items():
            gap = abs(own[key] / weight - released[name]) / abs(released[name])
            print(f't={t} {name}: released {released[name]:.6f}, ours {own[key] / weight:.6f}, relative gap {gap:.1e}')
            assert gap < {0: 5e-5, 1: 2e-2}.get(t, 0.15), (t, name)
