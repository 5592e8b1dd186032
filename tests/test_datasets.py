"""Pairs of domains, id maps and strict loading, on files that the tests write."""

import itertools

import numpy as np
import pytest
from mmseg.registry import DATASETS, TRANSFORMS
from PIL import Image

from mmseg_adapt.datasets import DomainPairSampler, GTADataset
from mmseg_adapt.datasets.gta import CITYSCAPES_TRAIN_IDS
from mmseg_adapt.errors import UserError

LOAD = [dict(type='LoadImage'), dict(type='LoadLabels'), dict(type='PackSegInputs')]


def write(path, array, palette=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if palette:
        image.putpalette(np.random.default_rng(0).integers(0, 256, 768).astype(np.uint8).tobytes())
    image.save(path)
    return path


@pytest.fixture
def gta(tmp_path):
    """Two pairs and one of the known broken ones; 00001.png holds every id from 0 to 34."""
    ids = np.arange(36, dtype=np.uint8).reshape(4, 9)
    ids[ids == 35] = 255
    for name in ('00001.png', '00002.png', '15188.png'):
        write(tmp_path / 'images' / name, np.full((4, 9, 3), 7, np.uint8))
        write(tmp_path / 'labels' / name, ids, palette=True)
    return tmp_path


def gta_dataset(root, **kwargs):
    return DATASETS.build(dict(type='GTADataset', data_root=str(root), pipeline=LOAD, **kwargs))


def test_gta_ids_become_cityscapes_train_ids_through_a_palette_png(gta):
    label = gta_dataset(gta)[0]['data_samples'].gt_sem_seg.data[0].numpy().ravel()
    expected = [CITYSCAPES_TRAIN_IDS.get(i, 255) for i in range(35)] + [255]
    assert label.tolist() == expected
    assert sorted(set(label) - {255}) == list(range(19))


def test_gtas_broken_pair_is_left_out(gta):
    names = [gta_dataset(gta).get_data_info(i)['img_path'][-9:] for i in range(2)]
    assert names == ['00001.png', '00002.png']
    assert len(gta_dataset(gta)) == 2


def test_gta_has_cityscapes_classes():
    assert len(GTADataset.METAINFO['classes']) == len(GTADataset.METAINFO['palette']) == 19
    assert GTADataset.METAINFO['classes'][18] == 'bicycle'


def pair_dataset(root, **target):
    target = dict(dict(type='GTADataset', data_root=str(root), data_prefix=dict(img_path='images')), **target)
    target.setdefault('pipeline', [dict(type='LoadImage'), dict(type='PackSegInputs')])
    source = dict(type='GTADataset', data_root=str(root), pipeline=LOAD)
    return DATASETS.build(dict(type='DomainPairDataset', source=source, target=target))


def test_a_pair_has_labels_for_the_source_only(gta):
    pair = pair_dataset(gta)[(1, 0)]
    assert pair['source']['data_samples'].img_path.endswith('00002.png')
    assert pair['target']['data_samples'].img_path.endswith('00001.png')
    assert 'gt_sem_seg' in pair['source']['data_samples']
    assert 'gt_sem_seg' not in pair['target']['data_samples']


def test_a_source_without_labels_is_refused(gta):
    source = dict(type='GTADataset', data_root=str(gta), data_prefix=dict(img_path='images'), pipeline=[])
    with pytest.raises(UserError, match='set source.data_prefix.seg_map_path'):
        DATASETS.build(dict(type='DomainPairDataset', source=source, target=source))


def test_a_target_pipeline_that_loads_labels_is_refused(gta):
    with pytest.raises(UserError, match='target.pipeline has LoadLabels: remove it'):
        pair_dataset(gta, pipeline=LOAD)


class Sizes:
    def __init__(self, source, target):
        self.source, self.target = range(source), range(target)


def pairs(count, source=5, target=3, **kwargs):
    return list(itertools.islice(DomainPairSampler(Sizes(source, target), seed=1, **kwargs), count))


def test_every_pass_of_a_domain_holds_each_image_once_whatever_the_other_domains_size():
    drawn = pairs(15)
    source, target = zip(*drawn)
    assert all(sorted(source[i : i + 5]) == list(range(5)) for i in (0, 5, 10))
    assert all(sorted(target[i : i + 3]) == list(range(3)) for i in (0, 3, 6, 9, 12))
    assert len(set(drawn)) > 5  # the pairing changes from pass to pass
    assert pairs(15) == drawn
    assert pairs(7, shuffle=False) == [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1), (0, 2), (1, 0)]


def test_ranks_share_one_stream(monkeypatch):
    whole = pairs(12)
    parts = []
    for rank in range(2):
        monkeypatch.setattr('mmseg_adapt.datasets.domain_pair.get_dist_info', lambda rank=rank: (rank, 2))
        parts.append(pairs(6))
    assert [p for both in zip(*parts) for p in both] == whole


def test_the_published_sizes_are_paired_in_little_memory():
    import tracemalloc

    tracemalloc.start()
    list(itertools.islice(DomainPairSampler(Sizes(24966, 2975), seed=0), 10))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6  # one permutation per domain; a product data set would need 74 million entries


def crop_pipeline(*steps):
    return [TRANSFORMS.build(step) for step in steps]


@pytest.mark.parametrize('label_first', [True, False])
def test_a_crop_box_cuts_image_and_label_alike_before_or_after_the_label_is_loaded(tmp_path, label_first):
    label = np.arange(48, dtype=np.uint8).reshape(6, 8)
    image = np.repeat(label[..., None], 3, axis=2)
    results = dict(
        img_path=str(write(tmp_path / 'i.png', image)),
        seg_map_path=str(write(tmp_path / 'l.png', label)),
        label_lut=None,
    )
    load, crop = dict(type='LoadLabels'), dict(type='CropBox', top=1, bottom=4, left=2)
    order = [load, crop] if label_first else [crop, load]
    for step in crop_pipeline(dict(type='LoadImage'), *order):
        results = step(results)
    assert np.array_equal(results['gt_seg_map'], label[1:4, 2:])
    assert np.array_equal(results['img'][..., 0], label[1:4, 2:])
    assert results['ori_shape'] == (3, 6)


def bad_gta(gta, change):
    change(gta)
    return [gta_dataset(gta)[i] for i in range(2)]


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda r: (r / 'labels/00002.png').unlink(),
            r'images/00002.png has no label .*labels/00002.png: add the labels',
        ),
        (lambda r: [f.unlink() for f in (r / 'images').iterdir()], r'no image matched \*.png under .*images'),
        (lambda r: (r / 'images').rename(r / 'img'), r'images does not exist: set data_root or data_prefix.img_path'),
        (lambda r: truncate(r / 'images/00001.png'), r'images/00001.png cannot be read'),
        (lambda r: truncate(r / 'labels/00001.png'), r'labels/00001.png cannot be read'),
        (
            lambda r: write(r / 'labels/00001.png', np.zeros((4, 8), np.uint8)),
            r'labels/00001.png is 8×4, its image .*images/00001.png is 9×4',
        ),
        (
            lambda r: write(r / 'labels/00001.png', np.full((4, 9), 77, np.uint8)),
            r'labels/00001.png holds the label ids \[77\], which id_map does not name',
        ),
        (lambda r: write(r / 'labels/00001.png', np.zeros((4, 9, 3), np.uint8)), r'labels/00001.png has 3 channels'),
        (
            lambda r: write(r / 'labels/00001.png', np.full((4, 9), 300, np.uint16)),
            r'labels/00001.png holds ids up to 300: ids must lie in 0…255',
        ),
    ],
)
def test_bad_data_is_named_with_the_cure(gta, change, message):
    with pytest.raises(UserError, match=message):
        bad_gta(gta, change)


def test_a_missing_target_folder_of_a_stock_data_set_is_named(gta):
    with pytest.raises(
        UserError, match=r'nowhere/leftImg8bit does not exist: set train_dataloader.dataset.target.data_root'
    ):
        pair_dataset(gta, type='CityscapesDataset', data_root='nowhere', data_prefix=dict(img_path='leftImg8bit'))


def test_a_target_without_images_is_named(gta):
    (gta / 'empty').mkdir()
    with pytest.raises(UserError, match=r'no image matched \*_leftImg8bit.png under .*empty: set .*target.img_suffix'):
        pair_dataset(gta, type='CityscapesDataset', data_prefix=dict(img_path='empty'))


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(id_map={0: 0, 300: 1}), 'ids must lie in 0…255'),
        (dict(id_map={0: 0, 1: 19}), r'maps to \[19\], but there are 19 classes'),
    ],
)
def test_an_id_map_that_cannot_be_is_refused(gta, kwargs, message):
    with pytest.raises(UserError, match=message):
        gta_dataset(gta, **kwargs)


def test_a_crop_box_outside_the_image_is_named(tmp_path):
    results = dict(img_path=str(write(tmp_path / 'i.png', np.zeros((6, 8, 3), np.uint8))))
    load, crop = crop_pipeline(dict(type='LoadImage'), dict(type='CropBox', top=1, bottom=7))
    with pytest.raises(UserError, match=r'does not lie in .*i.png, 8×6'):
        crop(load(results))
