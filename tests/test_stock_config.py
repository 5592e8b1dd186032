"""A complete stock config of MMSegmentation, adapted by ``_base_`` and twelve lines."""

from argparse import Namespace
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmseg.registry import DATASETS, HOOKS

from mmseg_adapt.cli.launch import read_config
from mmseg_adapt.datasets.cache import cached
from mmseg_adapt.datasets.pipelines import unlabelled

from .test_benchmarks import bdd100k, image, label
from .test_training import scalars
from .tiny import CONFIGS, train

FILE = CONFIGS / 'adaptseg/cs2bdd_deeplabv3plus_r50.py'


@pytest.fixture(scope='module')
def trees(tmp_path_factory):
    root = tmp_path_factory.mktemp('stock')
    bdd100k(root / 'bdd100k')
    for split in ('train', 'val'):
        image(root / f'cityscapes/leftImg8bit/{split}/ulm/ulm_0_leftImg8bit.png')
        label(root / f'cityscapes/gtFine/{split}/ulm/ulm_0_gtFine_labelTrainIds.png', 18)
    return root


def shrunk(trees: Path) -> Config:
    """The stock network, thinner, and its pipelines at a sixteenth of their sizes."""
    cfg = Config.fromfile(FILE)

    def walk(node) -> None:
        for value in node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ():
            walk(value)
        if isinstance(node, dict):
            for key in {'scale', 'crop_size', 'size', 'stride'} & node.keys():
                node[key] = tuple(side // 16 for side in node[key])
            if 'data_root' in node:
                node['data_root'] = node['data_root'].replace('data/', f'{trees}/')
            for key in {'pretrained', 'init_cfg'} & node.keys():
                node[key] = None
            if 'num_workers' in node:
                node.update(num_workers=0, persistent_workers=False)

    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader', 'model'):
        walk(cfg[key])
    segmentor = cfg.model.segmentor
    segmentor.backbone.update(stem_channels=8, base_channels=4)
    segmentor.decode_head.update(in_channels=128, channels=16, c1_in_channels=16, c1_channels=8)
    segmentor.auxiliary_head.update(in_channels=64, channels=8)
    cfg.model.discriminator.decode.base_channels = 4
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.default_hooks.logger.interval = 1
    return cfg


def test_the_config_adds_at_most_twelve_lines_to_the_stock_one():
    lines = [line for line in FILE.read_text().splitlines() if line and not line.startswith('#')]
    assert lines[0].startswith("_base_ = 'mmseg::deeplabv3plus/deeplabv3plus_r50")
    assert len(lines[1:]) <= 12
    ours = Config.fromfile(FILE)
    assert ours.train_cfg.max_iters == 40000
    assert ours.optim_wrapper.segmentor.optimizer.lr == 0.01
    assert ours.train_dataloader.batch_size == 2


def test_the_tools_give_it_what_every_config_of_ours_has_against_loss():
    cfg = read_config(Namespace(config=str(FILE), cfg_options=None, work_dir=None, launcher='none', local_rank=0))
    assert cfg.train_cfg.type == 'ResumableTrainLoop'
    assert cfg.default_hooks.checkpoint.backend_args == dict(backend='AtomicBackend')
    hooks = {hook['type'] for hook in cfg.default_hooks.values()}
    assert {'ExactResumeHook', 'PreemptionHook', 'FiniteLossHook', 'CheckpointGuardHook', 'ClassSetHook'} <= hooks


def test_it_trains_both_players_and_is_validated_on_the_target(trees, tmp_path):
    cfg = shrunk(trees)
    before = {}

    @HOOKS.register_module(name='KeepStockWeights', force=True)
    class KeepStockWeights(Hook):
        def before_train(self, runner):
            before.update({n: p.clone() for n, p in runner.model.named_parameters()})

    cfg.custom_hooks = [dict(type='KeepStockWeights')]
    cfg.work_dir, cfg.launcher = str(tmp_path), 'none'
    runner = train(cfg)
    moved = {n.split('.')[0] for n, p in runner.model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {'segmentor', 'discriminator'}
    log = scalars(tmp_path)
    assert {'decode.loss_ce', 'decode.loss_adv', 'discriminator.decode.loss_dis'} <= log[0].keys()
    assert 'mIoU' in log[-1]
    assert 'bdd100k' in runner.val_dataloader.dataset[0]['data_samples'].img_path


def test_a_target_without_a_pipeline_has_the_sources_without_labels(trees):
    cfg = shrunk(trees).train_dataloader.dataset
    pair = DATASETS.build(cfg)
    steps = [type(t).__name__ for t in pair.domains['source'].pipeline.transforms]
    assert steps.pop(1) == 'LoadAnnotations'
    assert [type(t).__name__ for t in pair.domains['target'].pipeline.transforms] == steps
    sample = pair[(0, 0)]
    assert 'gt_sem_seg' in sample['source']['data_samples']
    assert 'gt_sem_seg' not in sample['target']['data_samples']
    assert sample['source']['inputs'].shape == sample['target']['inputs'].shape == (3, 32, 64)
    crop = next(step for step in cfg.source.pipeline if step.type == 'RandomCrop')
    assert crop.cat_max_ratio == 0.75  # the source's own stays


def test_the_steps_of_a_cache_lose_their_labels_too():
    steps = [dict(type='LoadImage'), dict(type='LoadLabels'), dict(type='PackSegInputs')]
    assert unlabelled(cached(steps, 'folder')) == cached([steps[0], steps[2]], 'folder')
