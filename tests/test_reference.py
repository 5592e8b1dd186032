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

from .reference import seeded

REFERENCE = Path(__file__).parent / 'reference'
CONFIGS = Path(__file__).parents[1] / 'configs'
FIGURES = json.loads((REFERENCE / 'adaptsegnet_figures.json').read_text())


def released_name(key: str) -> str:
    """Our key → the released code's."""
    if key.startswith('backbone.'):
        return key.removeprefix('backbone.')
    layer = {'decode_head': 'layer6', 'auxiliary_head': 'layer5'}[key.split('.')[0]]
    return key.replace(key.split('.conv_seg')[0] + '.conv_seg', f'{layer}.conv2d_list')


def seed_weights(module: torch.nn.Module, prefix: str, rename) -> None:
    state = module.state_dict()
    for key, value in state.items():
        if not key.endswith('num_batches_tracked'):
            value.copy_(torch.from_numpy(seeded.tensor(prefix, rename(key), tuple(value.shape))))


def seed_discriminator(module: torch.nn.Module, prefix: str) -> None:
    names = ['conv1', 'conv2', 'conv3', 'conv4', 'classifier']
    seed_weights(module, prefix, lambda key: f'{names[int(key.split(".")[1]) // 2]}.{key.split(".")[2]}')


def model_config(name: str, **overrides) -> Config:
    cfg = Config.fromfile(CONFIGS / name)
    segmentor = cfg.model.segmentor if 'segmentor' in cfg.model else cfg.model
    segmentor.backbone.init_cfg = None
    segmentor.data_preprocessor.update(mean=None, std=None)  # the seeded images are BGR minus mean already
    return cfg


@pytest.fixture(scope='module')
def segmentor():
    model = MODELS.build(model_config('adaptseg/gta2cs_multilevel.py').model.segmentor)
    seed_weights(model, 'G.', released_name)
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

    def __init__(self):
        self.losses = []

    def before_train(self, runner):
        seed_weights(runner.model.segmentor, 'G.', released_name)
        for level, prefix in (('aux', 'D1.'), ('decode', 'D2.')):
            if level in runner.model.discriminator:
                seed_discriminator(runner.model.discriminator[level], prefix)
        runner.model.double()
        runner.model.segmentor.register_forward_pre_hook(lambda module, args: (args[0].double(), *args[1:]))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append({name: float(value) for name, value in outputs.items()})


def losses_of_six_iterations(cfg: Config, work_dir: Path) -> list[dict]:
    cfg.train_dataloader = dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type='DomainPairSampler', shuffle=False),
        dataset=dict(type='SeededPairs'),
    )
    for key in ('val_dataloader', 'val_evaluator', 'val_cfg', 'test_dataloader', 'test_evaluator', 'test_cfg'):
        cfg.pop(key)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=6)
    cfg.default_hooks.pop('checkpoint')
    cfg.default_hooks.pop('visualization')
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='SeedWeightsAndRecord')]
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = work_dir.name
    runner = Runner.from_cfg(cfg)
    runner.train()
    return next(hook for hook in runner.hooks if isinstance(hook, SeedWeightsAndRecord)).losses


@pytest.mark.parametrize('variant', ['as_released', 'unique_parameters'])
def test_six_multi_level_iterations_through_the_runner_equal_the_released_codes(variant, tmp_path):
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
    assert_losses_equal(losses_of_six_iterations(cfg, tmp_path), FIGURES['multi_level'][variant], weights)


def test_six_least_squares_iterations_through_the_runner_equal_the_released_codes(tmp_path):
    cfg = model_config('adaptseg/gta2cs_singlelevel_lsgan.py')
    for group in cfg.optim_wrapper.segmentor.paramwise_cfg.custom_keys.values():
        group.pop('repeats', None)
    weights = {
        'loss_seg_main': ('decode.loss_ce', 1.0),
        'loss_adv_main': ('decode.loss_adv', 0.01),
        'loss_d_main': ('discriminator.decode.loss_dis', 1.0),
    }
    figures = FIGURES['single_level_lsgan']['unique_parameters']
    assert_losses_equal(losses_of_six_iterations(cfg, tmp_path), figures, weights)


def assert_losses_equal(ours: list[dict], theirs: list[dict], weights: dict) -> None:
    """To 5e-5 at the first iteration, to 2 % at the second, to 15 % at the four that follow.

    The two ways to hold the parameters differ by 7 % at the second iteration. That our later iterations are the paper's
    is shown to 1e-9 by test_adversarial.py, against its loop in double precision.
    """
    assert len(ours) == len(theirs) == 6
    for t, (own, released) in enumerate(zip(ours, theirs)):
        for name, (key, weight) in weights.items():
            gap = abs(own[key] / weight - released[name]) / abs(released[name])
            print(f't={t} {name}: released {released[name]:.6f}, ours {own[key] / weight:.6f}, relative gap {gap:.1e}')
            assert gap < {0: 5e-5, 1: 2e-2}.get(t, 0.15), (t, name)
