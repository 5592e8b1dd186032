"""Margins whose pseudo-labels do not count: resized, cropped and flipped with the image, and read by the teacher."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import TRANSFORMS

from mmseg_adapt.datasets import PseudoLabelMargins
from mmseg_adapt.errors import UserError
from mmseg_adapt.methods.self_training import SelfTraining

from .test_benchmarks import shrink
from .test_benchmarks import trees as trees  # noqa: PLC0414  (a fixture)
from .tiny import CONFIGS, train

HRDA = dict(type='PseudoLabelMargins', top=30, bottom=240, left=30, right=30)


def picture(height: int = 1024, width: int = 2048) -> dict:
    """Its first two channels are the place of each pixel, in units of 8."""
    rows, columns = np.mgrid[:height, :width] // 8
    img = np.stack([rows, columns, columns * 0], axis=-1).astype(np.uint8)
    return dict(img=img, img_shape=(height, width), ori_shape=(height, width), img_path='a.png', seg_fields=[])


def run(results: dict, *steps: dict) -> dict:
    for step in steps:
        results = TRANSFORMS.build(step)(results)
    return results


def test_margins_are_those_of_hrda():
    valid = run(picture(), HRDA)['valid_pixels']
    assert valid[30:784, 30:2018].all()
    assert valid.sum() == (784 - 30) * (2018 - 30)


@pytest.mark.parametrize('flip', [0.0, 1.0])
def test_the_mask_follows_the_image_through_crop_and_flip(flip):
    np.random.seed(3)
    steps = [
        dict(type='PseudoLabelMargins', top=32, bottom=240, left=32, right=32),
        dict(type='RandomCrop', crop_size=(512, 512)),
        dict(type='RandomFlip', prob=flip),
        dict(type='PackValidPixels'),
    ]
    seen = set()
    for _ in range(6):
        packed = run(picture(), *steps)
        rows, columns = packed['inputs'][:2].long()  # whatever was done to the image was done to the places
        mask = packed['data_samples'].valid_pixels.data
        assert mask.shape == (1, 512, 512) and mask.dtype == torch.uint8
        expected = (rows >= 4) & (rows < 98) & (columns >= 4) & (columns < 252)
        assert torch.equal(mask[0].bool(), expected)
        seen.add(int(mask.sum()))
    assert len(seen) > 1  # of different crops


def test_the_mask_is_resized_with_the_image():
    steps = [HRDA, dict(type='Resize', scale=(1024, 512), keep_ratio=True)]
    valid = run(picture(), *steps)['valid_pixels']
    assert valid.shape == (512, 1024)
    assert valid[15:392, 15:1009].all() and valid.sum() == (392 - 15) * (1009 - 15)


def test_a_padded_pixel_does_not_count():
    steps = [dict(type='PseudoLabelMargins', top=8), dict(type='Pad', size=(96, 64)), dict(type='PackValidPixels')]
    mask = run(picture(48, 64), *steps)['data_samples'].valid_pixels.data
    assert mask.shape == (1, 64, 96)
    assert (mask == 1).sum() == 40 * 64


@pytest.mark.parametrize(
    ('margins', 'message'),
    [
        (dict(top=500, bottom=524), r'top=500, bottom=524, .* covers all of a.png, which is 2048×1024 here'),
        (dict(left=2048), 'covers all of a.png'),
        (dict(top=-1), r'PseudoLabelMargins.top = -1 must be at least 0'),
    ],
)
def test_margins_that_leave_nothing_or_are_negative_are_refused(margins, message):
    with pytest.raises(UserError, match=message):
        PseudoLabelMargins(**margins).transform(picture())


def test_a_mask_that_nobody_made_cannot_be_packed():
    with pytest.raises(UserError, match='add that step, or use PackSegInputs'):
        run(picture(), dict(type='PackValidPixels'))


def config(trees, tmp_path, **model) -> Config:
    cfg = Config.fromfile(CONFIGS / 'dacs/gta2cs_deeplabv2.py')
    shrink(cfg, trees)
    cfg.work_dir, cfg.launcher = str(tmp_path), 'none'
    cfg.model.update(model)
    steps = cfg.train_dataloader.dataset.target.pipeline
    margins = dict(type='PseudoLabelMargins', top=4, bottom=16, left=4, right=4)
    cfg.train_dataloader.dataset.target.pipeline = [steps[0], margins, *steps[1:-1], dict(type='PackValidPixels')]
    cfg.train_cfg.update(max_iters=1, val_interval=5)
    return cfg


def test_pseudo_labels_in_the_margins_have_no_weight_in_training(trees, tmp_path, monkeypatch):
    weights, teach = [], SelfTraining.teach

    def watched(self, inputs, data_samples):
        target, log = teach(self, inputs, data_samples)
        masks = torch.cat([sample.valid_pixels.data for sample in data_samples])
        weights.append((target.weight, masks, log['teacher.confident']))
        return target, log

    monkeypatch.setattr(SelfTraining, 'teach', watched)
    train(config(trees, tmp_path, pseudo_threshold=0.0))
    ((weight, masks, q),) = weights
    assert q == 1  # every pixel is sure enough, those in the margins too
    assert torch.equal(weight, masks.float())
    assert 0 < weight.mean() < 1


def test_margins_of_both_kinds_are_refused(trees, tmp_path):
    with pytest.raises(UserError, match='margins are set twice'):
        train(config(trees, tmp_path, ignore_top=2))


def test_margins_larger_than_the_crop_are_refused(trees, tmp_path):
    cfg = config(trees, tmp_path, ignore_top=15, ignore_bottom=120)
    cfg.train_dataloader.dataset.target.pipeline.pop(1)
    cfg.train_dataloader.dataset.target.pipeline[-1] = dict(type='PackSegInputs')
    with pytest.raises(UserError, match='ignore_top = 15 and ignore_bottom = 120 .* 48 rows'):
        train(cfg)
