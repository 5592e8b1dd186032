"""The configs of DACS, DAFormer and MIC against the releases: groups, learning rates, sizes, parameters."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, PARAM_SCHEDULERS, TRANSFORMS

from mmseg_adapt.datasets import RareClassCrop

from .test_configs import built
from .tiny import CONFIGS

FIGURES = json.loads((Path(__file__).parent / 'reference/selftraining/functions.json').read_text())


def groups(name: str) -> Counter:
    """(learning rate, decay) → number of trained tensors."""
    cfg, model = built(CONFIGS / name)
    wrapper_cfg = dict(cfg.optim_wrapper)
    constructor = dict(type=wrapper_cfg.pop('constructor'), optim_wrapper_cfg=wrapper_cfg)
    wrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model)['segmentor']
    trained = [g for g in wrapper.param_groups for p in g['params'] if p.requires_grad]  # one for each parameter
    return Counter((round(g['lr'], 12), g['weight_decay']) for g in trained)


def test_adamw_groups_of_mit_b5_are_the_released_ones():
    """Released: 730 tensors with decay and 322 LayerNorms without. Ours hold q and kv in one: 2 fewer a block."""
    found = groups('daformer/gta2cs_mitb5.py')
    embeddings, aspp, bottleneck, classifier = 4 * 2, 3 + 3 * 6, 3, 2
    head = embeddings + aspp + bottleneck + classifier  # BN's with decay
    assert found == {(6e-5, 0.01): 730 - 2 * 52, (6e-5, 0.0): 322, (6e-4, 0.01): head}


def test_bn_of_the_releases_deeplabv2_decays_and_only_its_head_learns_faster():
    found = groups('daformer/gta2cs_deeplabv2.py')
    assert found.keys() == {(6e-5, 0.01), (6e-4, 0.01)}
    assert found[6e-4, 0.01] == 4  # two convolutions


@pytest.mark.parametrize(('name', 'millions'), [('daformer/gta2cs_mitb5', 85.16), ('dacs/gta2cs_deeplabv2', 43.22)])
def test_networks_have_the_released_number_of_parameters(name, millions):
    segmentor = built(CONFIGS / f'{name}.py')[1].segmentor
    assert sum(p.numel() for p in segmentor.parameters()) / 1e6 == pytest.approx(millions, abs=0.006)


@pytest.mark.parametrize('name', ['dacs/gta2cs_mitb5', 'daformer/cs2darkzurich_mitb5', 'mic/synthia2cs_dacs_deeplabv2'])
def test_learning_rates_are_the_released_list(name):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    adamw = cfg.optim_wrapper.segmentor.optimizer
    assert (adamw.type, adamw.betas, adamw.weight_decay) == ('AdamW', (0.9, 0.999), 0.01)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=adamw.lr)
    schedulers = [PARAM_SCHEDULERS.build(dict(s, optimizer=optimizer)) for s in cfg.param_scheduler]
    figures = {int(t): lr for t, lr in FIGURES['lr_6e-5_poly10warm'].items()}
    assert cfg.train_cfg.max_iters == 40_000 and max(figures) < 40_000
    optimizer.step()
    for t in range(max(figures) + 1):
        if t in figures:
            assert optimizer.param_groups[0]['lr'] == pytest.approx(figures[t], rel=1e-10, abs=1e-17), t
        for scheduler in schedulers:
            scheduler.step()


def resized(step: dict, height: int, width: int) -> tuple[int, int]:
    results = dict(img=np.zeros((height, width, 3), np.uint8), img_shape=(height, width), seg_fields=[])
    return TRANSFORMS.build(step)(results)['img'].shape[:2]


@pytest.mark.parametrize(
    ('name', 'source', 'source_becomes', 'target', 'target_becomes'),
    [
        ('dacs/gta2cs_deeplabv2', (1052, 1914), (704, 1280), (1024, 2048), (512, 1024)),
        ('dacs/gta2cs_released', (1052, 1914), (720, 1280), (1024, 2048), (512, 1024)),
        ('daformer/gta2cs_mitb5', (1052, 1914), (704, 1280), (1024, 2048), (512, 1024)),
        ('mic/synthia2cs_mitb5', (760, 1280), (760, 1280), (1024, 2048), (512, 1024)),
        ('daformer/cs2acdc_mitb5', (1024, 2048), (512, 1024), (1080, 1920), (540, 960)),
        ('mic/cs2darkzurich_mitb5', (1024, 2048), (512, 1024), (1080, 1920), (540, 960)),
    ],
)
def test_images_have_the_released_sizes(name, source, source_becomes, target, target_becomes):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    streams = cfg.train_dataloader.dataset
    for stream, size, becomes in ((streams.source, source, source_becomes), (streams.target, target, target_becomes)):
        steps = {step.type: step for step in stream.pipeline}
        assert resized(steps['Resize'], *size) == becomes
        crop = steps.get('RareClassCrop', steps.get('RandomCrop'))
        assert tuple(crop.crop_size) == (512, 512)
    test = next(step for step in cfg.val_dataloader.dataset.pipeline if step.type == 'Resize')
    assert resized(test, *target) == target_becomes
    assert cfg.train_dataloader.batch_size == 2


def test_rare_classes_are_drawn_and_cropped_for_as_released():
    cfg = Config.fromfile(CONFIGS / 'daformer/synthia2cs_mitb5.py').train_dataloader
    assert cfg.sampler.orders.source == dict(type='RareClassOrder', temperature=0.01, min_pixels=3000)
    crop = TRANSFORMS.build(next(step for step in cfg.dataset.source.pipeline if step.type == 'RareClassCrop'))
    assert isinstance(crop, RareClassCrop)
    assert (crop.min_pixels, crop.tries, crop.cat_max_ratio) == (1500, 10, 0.75)


def test_dacs_own_release_scores_labels_that_were_shrunk(tmp_path):
    import cv2

    cfg = Config.fromfile(CONFIGS / 'dacs/gta2cs_released.py')
    files = tmp_path / 'image.png', tmp_path / 'label.png'
    cv2.imwrite(str(files[0]), np.zeros((1024, 2048, 3), np.uint8))
    cv2.imwrite(str(files[1]), np.arange(1024 * 2048).reshape(1024, 2048).astype(np.uint8) % 19)
    item = dict(img_path=str(files[0]), seg_map_path=str(files[1]), seg_fields=[])
    for step in cfg.val_dataloader.dataset.pipeline:
        item = TRANSFORMS.build(step)(item)
    sample = item['data_samples']
    assert sample.ori_shape == sample.gt_sem_seg.shape == (512, 1024)
