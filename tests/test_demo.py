"""What the demo draws, and the runs on its domains that the alarm for harm is measured with."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from mmseg.registry import MODELS

from .tiny import tool

demo, spoil = tool('demo.py'), tool('analysis/spoil.py')


def test_the_demo_draws_the_images_whose_gain_is_nearest_to_the_median(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, 'DATA', tmp_path)
    labels = tmp_path / 'target/val/labels'
    folders = [labels, *(tmp_path / method / 'predictions' for method in ('multilevel', 'source_only'))]
    for folder in folders:
        folder.mkdir(parents=True)
    for number, right in enumerate((1, 6, 3, 7, 4)):  # of eight rows; source-only has none
        for folder, rows in zip(folders, (8, right, 0)):
            label = np.ones((8, 4), np.uint8)
            label[:rows] = 0
            cv2.imwrite(str(folder / f'{number}.png'), label)
    assert demo.typical(tmp_path, 'multilevel', 1) == ['4.png']
    assert demo.typical(tmp_path, 'multilevel', 3) == ['1.png', '2.png', '4.png']


@pytest.mark.parametrize(('name', 'kind'), [*spoil.SOUND.items(), *spoil.SPOILT.items()])
def test_every_run_can_start_from_the_baseline_and_spoils_what_it_names(name, kind):
    method, change = kind
    cfg = spoil.config(method, 0, 2)
    before = cfg.to_dict()
    cfg.load_from, cfg.train_dataloader.batch_size = 'baseline.pth', 2
    change(cfg)
    plain = {**before, 'load_from': 'baseline.pth', 'train_dataloader': {**before['train_dataloader'], 'batch_size': 2}}
    assert (cfg.to_dict() != plain) == (change is not spoil.nothing)
    shapes = {
        key: value.shape
        for key, value in MODELS.build(spoil.config('target_bn', 0, 2).model).segmentor.state_dict().items()
    }
    assert {key: value.shape for key, value in MODELS.build(cfg.model).segmentor.state_dict().items()} == shapes


def test_a_run_that_has_its_last_checkpoint_is_not_trained_again(tmp_path, monkeypatch):
    (tmp_path / 'data/streets/source/images').mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    trained = []

    def train(cfg, work_dir):
        trained.append(work_dir.relative_to(tmp_path / 'out').as_posix())
        work_dir.mkdir(parents=True)
        torch.save({}, work_dir / f'iter_{cfg.train_cfg.max_iters}.pth')

    monkeypatch.setattr(spoil, 'train', train)
    monkeypatch.setattr('sys.argv', ['spoil.py', '--out', str(tmp_path / 'out'), '--seeds', '0'])
    spoil.main()
    assert trained[0] == 'baseline/seed0' and len(trained) == 1 + len(spoil.SOUND) + len(spoil.SPOILT)
    shutil.rmtree(tmp_path / 'out/spoilt/night')
    trained.clear()
    spoil.main()
    assert trained == ['spoilt/night/seed0']
