"""Pairs of domains, id maps and strict loading, on files that the tests write."""

import itertools
import shutil

import cv2
import numpy as np
import pytest
from mmseg.registry import DATASETS, TRANSFORMS
from PIL import Image

from mmseg_adapt.datasets import DomainPairSampler, GTADataset
from mmseg_adapt.datasets.cityscapes import TRAIN_IDS
from mmseg_adapt.demo import streets
from mmseg_adapt.errors import UserError

from .tiny import tiny_config, train

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
    expected = [TRAIN_IDS.get(i, 255) for i in range(35)] + [255]
    assert label.tolist() == expected
    assert sorted(set(label) - {255}) == list(range(19))


def test_gtas_broken_pair_is_left_out(gta):
    names = [gta_dataset(gta).get_data_info(i)['img_path'][-9:] for i in range(2)]
    assert names == ['00001.png', '00002.png']
    assert len(gta_dataset(gta)) == 2


def test_only_gtas_own_broken_names_are_left_out_and_logged(gta, monkeypatch):
    for kind in ('images', 'labels'):
        shutil.copy(gta / kind / '00001.png', gta / kind / '115188.png')
    lines = []
    monkeypatch.setattr('mmseg_adapt.datasets.gta.print_log', lambda line, logger: lines.append(line))
    names = [gta_dataset(gta).get_data_info(i)['img_path'][-10:] for i in range(3)]
    assert names == ['/00001.png', '/00002.png', '115188.png']
    assert lines[0].startswith('GTADataset: skipped 15188.png, whose labels')


def test_gta_has_cityscapes_classes():
    assert len(GTADataset.METAINFO['classes']) == len(GTADataset.METAINFO['palette']) == 19
    assert GTADataset.METAINFO['classes'][18] == 'bicycle'


def labels_of(dataset) -> list[int]:
    return dataset[0]['data_samples'].gt_sem_seg.data[0].numpy().ravel().tolist()


def every_id(highest: int, width: int = 6) -> np.ndarray:
    """All ids from 0 to ``highest`` in an image of that width, the rest 255."""
    ids = np.full(-(-(highest + 1) // width) * width, 255, np.uint8)
    ids[: highest + 1] = range(highest + 1)
    return ids.reshape(-1, width)


def test_synthia_reads_the_class_from_the_first_of_its_16_bit_channels(tmp_path):
    ids = every_id(22)
    write(tmp_path / 'RGB/0000000.png', np.zeros((*ids.shape, 3), np.uint8))
    instances = np.arange(ids.size, dtype=np.uint16).reshape(ids.shape) + 300
    red_green_blue = [ids.astype(np.uint16), instances, np.zeros_like(instances)]
    (tmp_path / 'GT/LABELS').mkdir(parents=True)
    cv2.imwrite(str(tmp_path / 'GT/LABELS/0000000.png'), np.stack(red_green_blue[::-1], axis=-1))
    dataset = DATASETS.build(dict(type='SYNTHIADataset', data_root=str(tmp_path), pipeline=LOAD))
    published = {3: 0, 4: 1, 2: 2, 21: 3, 5: 4, 7: 5, 15: 6, 9: 7, 6: 8, 16: 9, 1: 10, 10: 11, 17: 12, 8: 13, 18: 14}
    published.update({19: 15, 20: 16, 12: 17, 11: 18})
    assert labels_of(dataset) == [published.get(i, 255) for i in range(23)] + [255]


def cityscapes(root, kwargs=None, **suffixes):
    """One pair; a label file per suffix."""
    write(root / 'leftImg8bit/val/ulm/a_leftImg8bit.png', np.zeros((6, 6, 3), np.uint8))
    for suffix, ids in suffixes.items():
        write(root / f'gtFine/val/ulm/a_gtFine_{suffix}.png', ids)
    prefix = dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val')
    cfg = dict(type='CityscapesLabelsDataset', data_root=str(root), data_prefix=prefix, pipeline=LOAD)
    return DATASETS.build(dict(cfg, **kwargs or {}))


def test_cityscapes_is_read_from_label_ids_or_from_train_ids_whichever_is_there(tmp_path):
    label_ids, train_ids = every_id(33), np.resize(every_id(18), (6, 6))
    expected = [TRAIN_IDS.get(i, 255) for i in range(34)] + [255, 255]
    assert labels_of(cityscapes(tmp_path / 'ids', labelIds=label_ids)) == expected
    both = cityscapes(tmp_path / 'both', labelIds=label_ids, labelTrainIds=train_ids)
    assert labels_of(both) == train_ids.ravel().tolist()
    named = dict(seg_map_suffix='_gtFine_labelIds.png')
    assert labels_of(cityscapes(tmp_path / 'both', named)) == expected


def test_cross_city_has_13_classes_in_label_ids_and_unlabelled_training_images(tmp_path):
    ids = every_id(33)
    write(tmp_path / 'Rome/Images/Test/pano_1.png', np.zeros((*ids.shape, 3), np.uint8))
    write(tmp_path / 'Rome/Images/Train/pano_2.png', np.zeros((*ids.shape, 3), np.uint8))
    write(tmp_path / 'Rome/Labels/Test/pano_1_eval.png', ids)
    cfg = dict(type='CrossCityDataset', data_root=str(tmp_path), city='Rome', pipeline=LOAD)
    test = DATASETS.build(dict(cfg, split='Test'))
    assert len(test.metainfo['classes']) == len(test.metainfo['palette']) == 13
    order = [7, 8, 11, 19, 20, 21, 23, 24, 25, 26, 28, 32, 33]  # road … bicycle in Cityscapes' label ids
    assert labels_of(test) == [order.index(i) if i in order else 255 for i in range(36)]
    assert 'gt_sem_seg' not in DATASETS.build(cfg)[0]['data_samples']


def test_bdd100k_is_read_through_mmsegmentations_class_in_train_ids(tmp_path):
    ids = every_id(18)
    write(tmp_path / 'images/10k/val/a.jpg', np.zeros((*ids.shape, 3), np.uint8))
    write(tmp_path / 'labels/sem_seg/masks/val/a.png', ids)
    prefix = dict(img_path='images/10k/val', seg_map_path='labels/sem_seg/masks/val')
    dataset = DATASETS.build(dict(type='BDD100KDataset', data_root=str(tmp_path), data_prefix=prefix, pipeline=LOAD))
    assert labels_of(dataset) == [*range(19), *[255] * (ids.size - 19)]
    assert dataset.metainfo['classes'] == GTADataset.METAINFO['classes']


def test_without_an_id_map_an_id_beyond_the_classes_is_an_error(gta):
    cfg = dict(type='IdMappedDataset', data_root=str(gta), data_prefix=dict(img_path='images', seg_map_path='labels'))
    cfg.update(img_suffix='.png', pipeline=LOAD, metainfo=dict(classes=tuple('abc')))
    with pytest.raises(UserError, match=r'labels/00001.png contains the ids \[3, 4, 5'):
        DATASETS.build(cfg)[0]


def test_two_data_sets_meet_on_the_classes_that_a_config_names(gta):
    shared = ('car', 'road')
    metainfo = dict(classes=shared, palette=[[0, 0, 142], [128, 64, 128]])
    label = labels_of(gta_dataset(gta, metainfo=metainfo))
    assert label == [{26: 0, 7: 1}.get(i, 255) for i in range(36)]


def test_an_id_map_may_name_its_classes_and_ignore_other_ids(gta):
    metainfo = dict(classes=('vehicle', 'ground'), palette=[[0, 0, 142], [128, 64, 128]])
    id_map = {26: 'vehicle', 27: 'vehicle', 7: 'ground', 8: 'ground'}
    label = labels_of(gta_dataset(gta, metainfo=metainfo, id_map=id_map, others='ignore'))
    assert label == [{26: 0, 27: 0, 7: 1, 8: 1}.get(i, 255) for i in range(36)]


def test_what_is_ignored_is_counted_in_a_log_line(gta, monkeypatch):
    lines = []
    monkeypatch.setattr('mmseg_adapt.datasets.id_mapped.print_log', lambda line, logger: lines.append(line))
    gta_dataset(gta, metainfo=dict(classes=tuple(c for c in GTADataset.METAINFO['classes'] if c not in ('bus', 'car'))))
    gta_dataset(gta, id_map={7: 'road', 8: 255, 9: 255})
    gta_dataset(gta)
    assert lines == [
        'GTADataset: 2 of its 19 classes are ignored, because this config does not have them: car, bus',
        'GTADataset: id_map ignores 2 ids: [8, 9]',
    ]


def test_images_without_a_label_are_left_out_where_a_config_says_so(gta):
    (gta / 'labels/00001.png').unlink()
    dataset = gta_dataset(gta, without_label='skip')
    assert [dataset.get_data_info(i)['img_path'][-9:] for i in range(len(dataset))] == ['00002.png']
    (gta / 'labels/00002.png').unlink()
    (gta / 'labels/15188.png').unlink()
    with pytest.raises(UserError, match=r'images/00001.png has no label .*\(nor have 2 more\)'):
        gta_dataset(gta, without_label='skip')


def test_ids_are_read_from_the_channel_that_holds_them(gta):
    ids = np.arange(36, dtype=np.uint8).reshape(4, 9) % 34
    carla = np.stack([ids, ids + 100, ids + 50, np.full_like(ids, 255)], axis=-1)  # red, green, blue, alpha
    write(gta / 'labels/00001.png', carla)
    assert labels_of(gta_dataset(gta, label_channel='red')) == [TRAIN_IDS.get(i, 255) for i in ids.ravel()]
    write(gta / 'labels/00001.png', ids)  # nothing else to choose from
    assert labels_of(gta_dataset(gta, label_channel='red')) == [TRAIN_IDS.get(i, 255) for i in ids.ravel()]


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (
            dict(metainfo=dict(classes=('road', 'tram'))),
            "GTADataset has no class 'tram': it must be one of road, sidewalk",
        ),
        (dict(id_map={7: 'street'}), "id_map has the class 'street': it must be one of road, sidewalk"),
        (dict(metainfo=dict(classes=())), 'GTADataset has no classes: set metainfo.classes'),
        (dict(id_map={7: 255}), 'maps every id to 255: map at least one id to a class'),
        (
            dict(metainfo=dict(classes=('road', 'car'), palette=[[0, 0, 142]])),
            'metainfo.palette has 1 colours for 2 classes: list one per class',
        ),
        (dict(others='keep'), "GTADataset.others = 'keep' must be one of 'error', 'ignore'"),
        (dict(label_channel='alpha'), "GTADataset.label_channel = 'alpha' must be one of None, 'blue', 'green', 'red'"),
    ],
)
def test_class_sets_that_cannot_meet_are_refused(gta, kwargs, message):
    with pytest.raises(UserError, match=message):
        gta_dataset(gta, **kwargs)


def test_the_published_number_of_files_is_scanned_in_little_memory(tmp_path):
    import tracemalloc

    for folder in ('images', 'labels'):
        (tmp_path / folder).mkdir()
        for i in range(1, 24967):
            (tmp_path / folder / f'{i:05d}.png').touch()
    train = tmp_path / 'leftImg8bit/train'
    for i in range(2975):
        (train / f'city{i % 18}').mkdir(parents=True, exist_ok=True)
        (train / f'city{i % 18}/{i:06d}_leftImg8bit.png').touch()
    tracemalloc.start()
    source = gta_dataset(tmp_path)
    target = DATASETS.build(
        dict(type='CityscapesLabelsDataset', data_root=str(tmp_path), data_prefix=dict(img_path='leftImg8bit/train'))
    )
    assert (len(source), len(target)) == (24964, 2975)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


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


def semi_supervised(root, **labeled_target):
    source = dict(type='GTADataset', data_root=str(root), pipeline=LOAD)
    target = dict(source, data_prefix=dict(img_path='images'), pipeline=LOAD[:1])
    labeled_target = dict(source, **labeled_target)
    cfg = dict(type='DomainPairDataset', source=source, target=target, labeled_target=labeled_target)
    return DATASETS.build(cfg)


def test_a_labelled_part_of_the_target_is_a_third_stream(gta):
    dataset = semi_supervised(gta, indices=[1])
    drawn = list(itertools.islice(DomainPairSampler(dataset, seed=3), 4))
    assert [k for _, _, k in drawn] == [0, 0, 0, 0]
    item = dataset[drawn[0]]
    assert list(item) == ['source', 'target', 'labeled_target']
    labeled = item['labeled_target']['data_samples']
    assert labeled.img_path.endswith('00002.png')
    assert 'gt_sem_seg' in labeled
    pairs_alone = itertools.islice(DomainPairSampler(pair_dataset(gta), seed=3), 4)
    assert [triple[:2] for triple in drawn] == list(pairs_alone)  # the other streams are as without it


@pytest.mark.parametrize(
    ('labeled_target', 'message'),
    [
        (dict(data_prefix=dict(img_path='images')), 'set labeled_target.data_prefix.seg_map_path'),
        (dict(metainfo=dict(classes=('road', 'car'))), 'set labeled_target.metainfo.classes to those of the source'),
        (dict(data_root='nowhere'), 'nowhere/images does not exist: set data_root'),
        (dict(indices=[0, 2]), 'indices has 2, but .*images contains only 2 .*: complete the data, or change indices'),
    ],
)
def test_a_labelled_target_that_cannot_be_learned_from_is_refused(gta, labeled_target, message):
    with pytest.raises(UserError, match=message):
        semi_supervised(gta, **labeled_target)


class Sizes:
    def __init__(self, source, target):
        self.domains = dict(source=range(source), target=range(target))


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
        monkeypatch.setattr('mmseg_adapt.datasets.samplers.get_dist_info', lambda rank=rank: (rank, 2))
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
        (lambda r: [f.unlink() for f in (r / 'images').iterdir()], r'no image matches \*.png in .*images'),
        (lambda r: (r / 'images').rename(r / 'img'), r'images does not exist: set data_root or data_prefix.img_path'),
        (lambda r: truncate(r / 'images/00001.png'), r'images/00001.png cannot be read'),
        (lambda r: truncate(r / 'labels/00001.png'), r'labels/00001.png cannot be read'),
        (
            lambda r: write(r / 'labels/00001.png', np.zeros((4, 8), np.uint8)),
            r'labels/00001.png is 8×4, but its image .*images/00001.png is 9×4',
        ),
        (
            lambda r: write(r / 'labels/00001.png', np.full((4, 9), 77, np.uint8)),
            r'labels/00001.png contains the ids \[77\], which are not in id_map',
        ),
        (
            lambda r: write(r / 'labels/00001.png', np.full((4, 9, 3), (1, 2, 3), np.uint8)),
            r'labels/00001.png has 3 channels, but a label must have one.*: export ids instead of colours, or set',
        ),
        (
            lambda r: write(r / 'images/00002.jpg', np.zeros((4, 9, 3), np.uint8)),
            r'images/00002.jpg and 00002.png differ only in their file extension: keep one of them',
        ),
        (
            lambda r: write(r / 'labels/00001.png', np.full((4, 9), 300, np.uint16)),
            r'labels/00001.png contains ids up to 300: ids must be in 0…255',
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
    with pytest.raises(UserError, match=r'no image matches \*_leftImg8bit.png in .*empty: set .*target.img_suffix'):
        pair_dataset(gta, type='CityscapesDataset', data_prefix=dict(img_path='empty'))


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(id_map={0: 0, 300: 1}), 'ids must be in 0…255'),
        (dict(id_map={0: 0, 1: 19}), 'maps 1 to 19, but there are only 19 classes'),
        (dict(id_map={'road': 7}), r"id_map maps 'road' to 7: write id: class, as in \{7: 0\}"),
        (dict(id_map={7: None}), 'id_map maps 7 to None: write id: class'),
    ],
)
def test_an_id_map_that_cannot_be_is_refused(gta, kwargs, message):
    with pytest.raises(UserError, match=message):
        gta_dataset(gta, **kwargs)


def test_a_crop_box_outside_the_image_is_named(tmp_path):
    results = dict(img_path=str(write(tmp_path / 'i.png', np.zeros((6, 8, 3), np.uint8))))
    load, crop = crop_pipeline(dict(type='LoadImage'), dict(type='CropBox', top=1, bottom=7))
    with pytest.raises(UserError, match=r'exceeds .*i.png, which is 8×6'):
        crop(load(results))


@pytest.mark.parametrize(
    ('classes', 'message'),
    [
        (
            tuple('abcdefgh'),
            r'source and target have no common class \(road, .*, car in training, a, b, .* in val_dataloader\)',
        ),
        (tuple(reversed(streets.CLASSES)), r'source and target have different classes \(road, .*: list the same'),
    ],
)
def test_a_source_and_a_target_whose_classes_differ_are_refused_before_the_first_iteration(
    classes, message, street_data, tmp_path
):
    cfg = tiny_config('demo/streets_singlelevel.py', street_data, tmp_path)
    cfg.val_dataloader.dataset.metainfo = dict(classes=classes)
    cfg.val_dataloader.dataset.pop('id_map')
    with pytest.raises(UserError, match=message):
        train(cfg)
    assert not list(tmp_path.glob('*.pth'))


def test_a_network_of_another_number_of_classes_is_refused_before_the_first_iteration(street_data, tmp_path):
    cfg = tiny_config('demo/streets_source_only.py', street_data, tmp_path)
    cfg.model.decode_head.num_classes = 7
    with pytest.raises(UserError, match='decode_head.num_classes = 7, but train_dataloader has 8 classes: set'):
        train(cfg)
