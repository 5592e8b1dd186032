"""Orders of streams: functions of (seed, position); rare classes as the released code draws them; counted classes."""

import itertools
import json
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, TRANSFORMS
from PIL import Image

from mmseg_adapt.datasets import DomainPairSampler, OrderSampler, RareClassOrder, class_statistics
from mmseg_adapt.datasets.class_statistics import class_pixels
from mmseg_adapt.datasets.orders import RareIndex, ShuffledOrder, class_probabilities
from mmseg_adapt.errors import UserError
from mmseg_adapt.runs.resumable_train_loop import SampleStream

REFERENCE = Path(__file__).parent / 'reference'
RCS = json.loads((REFERENCE / 'selftraining/functions.json').read_text())['e_rcs']
LOAD = [dict(type='LoadImage'), dict(type='LoadLabels')]
CLASSES = tuple('abcdef')


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    init_default_scope('mmseg')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache/mmseg_adapt/class_statistics'


def label_folder(root: Path, labels: dict[str, np.ndarray], suffix: str = '.png') -> Path:
    for name, label in labels.items():
        for folder, array, ending in (
            ('images', np.zeros((*label.shape, 3), np.uint8), '.png'),
            ('labels', label, suffix),
        ):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / folder / f'{name}{ending}')
    return root


def data_set(root: Path, pipeline=LOAD, suffix: str = '.png', **kwargs) -> dict:
    kwargs = {**dict(metainfo=dict(classes=CLASSES)), **kwargs}
    return dict(
        type='IdMappedDataset',
        data_root=str(root),
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        img_suffix='.png',
        seg_map_suffix=suffix,
        pipeline=pipeline,
        serialize_data=False,  # mmengine's takes a second
        **kwargs,
    )


@pytest.fixture
def three(tmp_path):
    """Labels of 10×10 pixels: 'c' is rare; 'd', 'e' and 'f' never occur."""
    zeros = np.zeros((10, 10), np.uint8)
    half, rare = zeros.copy(), zeros.copy()
    half[:5] = 1
    rare[:2, :5] = 2
    rare[9] = 255
    return label_folder(tmp_path / 'data', {'0': zeros, '1': half, '2': rare})


@pytest.fixture
def released(tmp_path):
    """The reference's label names, and the statistics beside them as the released code's converter writes them."""
    names = [Path(entry['file']).name for entry in RCS['sample_class_stats']]
    zeros = np.zeros((2, 2), np.uint8)
    root = label_folder(tmp_path / 'gta', {name.removesuffix('_labelTrainIds.png'): zeros for name in names})
    lists = {}
    for entry in RCS['sample_class_stats']:
        for key in entry.keys() - {'file'}:
            lists.setdefault(key, []).append([entry['file'], entry[key]])
    (root / 'sample_class_stats.json').write_text(json.dumps(RCS['sample_class_stats']))
    (root / 'samples_with_class.json').write_text(json.dumps(lists))
    return root


# ------------------------------------------------------------------------------------------------------------ orders


class Sizes:
    def __init__(self, **sizes):
        self.domains = {name: range(size) for name, size in sizes.items()}


def test_pairs_and_triples_come_in_the_order_of_the_recorded_ones(monkeypatch):
    for case in json.loads((REFERENCE / 'sample_orders.json').read_text()):
        place = case['rank'], case['world']
        monkeypatch.setattr('mmseg_adapt.datasets.samplers.get_dist_info', lambda place=place: place)
        sampler = DomainPairSampler(Sizes(**case['sizes']), seed=case['seed'], shuffle=case['shuffle'])
        sampler.start = case['start']
        assert [list(item) for item in itertools.islice(sampler, 6)] == case['items'], case


def test_a_further_stream_leaves_the_orders_of_the_others_as_they_are():
    def drawn(**sizes):
        sampler = DomainPairSampler(Sizes(**sizes), seed=5)
        return [dict(zip(sizes, item)) for item in itertools.islice(sampler, 20)]

    pairs = drawn(source=9, target=5)
    more = drawn(source=9, target=5, night=5, rain=5)
    assert [{name: item[name] for name in ('source', 'target')} for item in more] == pairs
    streams = {name: tuple(item[name] for item in more) for name in ('target', 'night', 'rain')}
    assert len(set(streams.values())) == 3  # of one size, yet each in an order of its own
    assert all(sorted(order[:5]) == list(range(5)) for order in streams.values())


def test_each_stream_is_walked_in_the_order_that_is_named_for_it():
    orders = dict(target=dict(type='SequentialOrder'), night=dict(type='ShuffledOrder'))
    sampler = DomainPairSampler(Sizes(source=4, target=3, night=4), seed=1, shuffle=True, orders=orders)
    source, target, night = zip(*itertools.islice(sampler, 8))
    assert target == (0, 1, 2, 0, 1, 2, 0, 1)
    assert sorted(source[:4]) == sorted(night[:4]) == [0, 1, 2, 3]
    assert source != (0, 1, 2, 3, 0, 1, 2, 3)
    sequential = DomainPairSampler(Sizes(source=4, target=3, night=4), seed=1, shuffle=False, orders=orders)
    assert [item[0] for item in itertools.islice(sequential, 5)] == [0, 1, 2, 3, 0]


def test_an_order_of_a_stream_that_does_not_exist_is_refused():
    with pytest.raises(UserError, match=r"sampler.orders has 'night': it must be one of source, target"):
        DomainPairSampler(Sizes(source=4, target=3), seed=1, orders=dict(night=dict(type='ShuffledOrder')))


@pytest.mark.parametrize('run_seed', [3, None])
def test_an_explicit_sampler_seed_of_zero_is_the_seed_after_a_resume_as_well(run_seed):
    class Data(list):
        domains, dataset = dict(source=range(7), target=range(5)), None

    def stream():
        data = Data(range(7))
        data.dataset = data
        return SampleStream(data, dict(type='DomainPairSampler', seed=0), seed=run_seed)

    first = stream()
    whole = list(itertools.islice(first, 20))
    assert first.seed == 0
    resumed = stream()
    resumed.begin(9, first.seed)
    assert list(itertools.islice(resumed, 11)) == whole[9:]


# ------------------------------------------------------------------------------------------------- rare class sampling


def test_probabilities_are_the_released_codes_to_the_bit(released):
    dataset = DATASETS.build(data_set(released))
    for temperature, expected in RCS['probabilities'].items():
        order = RareClassOrder(dataset, temperature=float(temperature), statistics=str(released))
        assert order.classes == expected['classes']
        assert np.array_equal(order.probabilities, np.float32(expected['probabilities']))


def test_a_class_is_looked_for_in_the_files_of_the_released_code(released):
    dataset = DATASETS.build(data_set(released))
    order = RareClassOrder(dataset, statistics=str(released))
    for c, images in zip(order.classes, order.images):
        names = [Path(dataset.get_data_info(int(i))['seg_map_path']).stem + '_labelTrainIds.png' for i in images]
        assert names == RCS['files_of_class'][str(c)]


def test_a_million_draws_match_the_probabilities_within_three_standard_errors(released):
    order = RareClassOrder(DATASETS.build(data_set(released)), temperature=0.1, statistics=str(released))
    stretches = [order.draw(seed) for seed in range(1000)]
    images, classes = (np.concatenate(part)[: 10**6] for part in zip(*stretches))
    assert [(int(i), i.rare_class) for i in order.stretch(5)] == list(zip(*(part.tolist() for part in stretches[5])))
    assert order.probabilities.min() > 1e-3  # every class is drawn often enough to be tested
    pairs = np.bincount(12 * classes + images, minlength=12 * 6).reshape(6, 12)
    for c, p, shown in zip(order.classes, order.probabilities.astype(float), order.images):
        assert abs(pairs[c].sum() - 1e6 * p) <= 3 * (1e6 * p * (1 - p)) ** 0.5, c
        q = p / len(shown)
        assert np.abs(pairs[c, shown] - 1e6 * q).max() < 4.5 * (1e6 * q * (1 - q)) ** 0.5  # of 63 pairs in all
        assert pairs[c].sum() == pairs[c, shown].sum()


def test_a_rare_draw_is_a_function_of_seed_and_position_whose_place_is_found_at_once(released):
    dataset = DATASETS.build(data_set(released))

    def order(stream='source'):
        return RareClassOrder(dataset, stream, statistics=str(released))

    whole = [order()(7, p) for p in range(3000, 3100)]
    again = order()
    again(7, 12)
    assert [(again(7, p), again(7, p).rare_class) for p in range(3000, 3100)] == [(i, i.rare_class) for i in whole]
    assert [order()(8, p) for p in range(3000, 3100)] != whole
    assert [order('labeled_target')(7, p) for p in range(3000, 3100)] != whole
    late, early = order(), order()
    started = time.thread_time()  # what other processes do does not count
    early(7, 0)
    first = time.thread_time() - started
    started = time.thread_time()
    late(7, 10**7)
    assert time.thread_time() - started < 20 * first + 0.05


def test_rare_classes_are_drawn_for_a_plain_data_set_whose_resume_continues_the_same_order(three):
    dataset = DATASETS.build(data_set(three))
    dataset.dataset = None
    cfg = dict(type='OrderSampler', order=dict(type='RareClassOrder', min_pixels=5))

    def stream(start):
        class Seeded:
            pass

        seeded = Seeded()
        seeded.dataset = dataset
        samples = SampleStream(seeded, dict(cfg), seed=2)
        samples.begin(start, 2)
        return list(itertools.islice(samples, 40))

    whole = stream(0)
    assert stream(15)[:25] == whole[15:]
    assert len({seed for seed, _ in whole}) == 40
    assert all(index == {0: index, 1: 1, 2: 2}[index.rare_class] for _, index in whole)


def test_ranks_share_the_draws_of_one_order(three, monkeypatch):
    dataset = DATASETS.build(data_set(three))

    def drawn(rank, world, count):
        monkeypatch.setattr('mmseg_adapt.datasets.samplers.get_dist_info', lambda: (rank, world))
        order = dict(type='RareClassOrder', min_pixels=5, temperature=1.0)
        return list(itertools.islice(OrderSampler(dataset, order, seed=4), count))

    assert [i for both in zip(drawn(0, 2, 20), drawn(1, 2, 20)) for i in both] == drawn(0, 1, 40)


def test_the_class_of_a_draw_arrives_in_the_pipeline_through_workers_and_wrappers(three):
    one = data_set(three)
    wrapped = dict(type='ConcatDataset', datasets=[one, dict(type='RepeatDataset', dataset=one, times=2)])
    dataset = DATASETS.build(wrapped)
    index = pickle.loads(pickle.dumps(RareIndex(7, 2)))
    assert (index, index.rare_class) == (7, 2)
    results = dataset[index]
    assert results['sample_idx'] == 1
    assert results['sample_idx'].rare_class == 2
    assert Path(results['img_path']).name == '1.png'


def test_a_class_that_never_occurs_is_left_out_and_named(three, monkeypatch):
    said = []
    monkeypatch.setattr('mmseg_adapt.datasets.orders.print_log', lambda text, *_: said.append(text))
    order = RareClassOrder(DATASETS.build(data_set(three)), min_pixels=5)
    assert order.classes == [2, 1, 0]
    assert said == ['RareClassOrder never draws d, e, f, because no label contains it']
    expected = np.exp((1 - np.array([10, 50, 230]) / 290) / 0.01 - 100)
    np.testing.assert_allclose(order.probabilities, expected / expected.sum(), rtol=1e-4)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(classes=('a', 'tram')), "RareClassOrder.classes has 'tram': it must be one of a, b, c, d, e, f"),
        (dict(classes=('a', 'd')), 'no label contains d: remove it from classes'),
        (dict(), 'no image has more than min_pixels = 3000 pixels of c .maximum: 10.: lower min_pixels'),
        (dict(min_pixels=10), 'no image has more than min_pixels = 10 pixels of c'),  # more, not as many
        (dict(temperature=0.0), r'RareClassOrder.temperature = 0.0 must be above 0'),
        (dict(stream='target'), 'sampler.orders.target: remove RareClassOrder, because the target has no labels'),
    ],
)
def test_rare_classes_that_cannot_be_drawn_are_refused(three, kwargs, message):
    with pytest.raises(UserError, match=message):
        RareClassOrder(DATASETS.build(data_set(three)), **kwargs)


def test_only_named_classes_are_drawn(three):
    order = RareClassOrder(DATASETS.build(data_set(three)), classes=('a', 'b'), min_pixels=5)
    assert {i.rare_class for i in order.stretch(0)} <= {0, 1}
    np.testing.assert_allclose(order.probabilities, class_probabilities(np.array([50, 230]), 0.01))


# ----------------------------------------------------------------------------------------------------- class statistics


def test_classes_are_counted_in_the_files_own_resolution_through_the_id_map_and_the_fixed_crop(tmp_path):
    label = np.repeat(np.array([7, 8, 8, 9, 255], np.uint8), 4).reshape(5, 4)
    root = label_folder(tmp_path / 'data', {'0': label, '1': label[::-1]})
    steps = [*LOAD, dict(type='Resize', scale=(64, 64)), dict(type='RandomCrop', crop_size=(2, 2))]
    kwargs = dict(id_map={7: 'b', 8: 'a', 9: 255}, others='ignore')
    assert class_pixels(DATASETS.build(data_set(root, steps, **kwargs))).tolist() == [[8, 4, 0, 0, 0, 0]] * 2
    for where in (1, 2):
        steps = [*LOAD[:where], dict(type='CropBox', top=1), *LOAD[where:]]
        cached = [dict(type='Cached', folder=str(tmp_path / 'kept'), transforms=steps)]
        for pipeline in (steps, cached):
            pixels = class_pixels(DATASETS.build(data_set(root, pipeline, **kwargs)))
            assert pixels.tolist() == [[8, 0, 0, 0, 0, 0], [8, 4, 0, 0, 0, 0]]


def test_stock_data_sets_are_counted_with_their_own_label_loading(tmp_path):
    label = np.repeat(np.array([0, 1, 2, 2], np.uint8), 3).reshape(4, 3)
    root = label_folder(tmp_path / 'data', {'0': label})
    cfg = dict(
        type='BaseSegDataset',
        data_root=str(root),
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        img_suffix='.png',
        metainfo=dict(classes=('a', 'b')),
        reduce_zero_label=True,
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', reduce_zero_label=True)],
    )
    assert class_pixels(DATASETS.build(cfg)).tolist() == [[3, 6]]


def test_wrapped_data_sets_are_counted_each_once(three, monkeypatch):
    one = data_set(three)
    wrapped = dict(
        type='ConcatDataset', datasets=[dict(one, indices=[2]), dict(type='RepeatDataset', dataset=one, times=2)]
    )
    counted = []
    count = class_statistics._count
    monkeypatch.setattr(class_statistics, '_count', lambda labels, *a: counted.append(len(labels)) or count(labels, *a))
    pixels = class_pixels(DATASETS.build(wrapped))
    assert pixels[:, :3].tolist() == [[80, 0, 10], *[[100, 0, 0], [50, 50, 0], [80, 0, 10]] * 2]
    assert counted == [1, 3]


def test_counts_are_kept_and_counted_again_when_a_label_or_the_id_map_changes(three, cache, monkeypatch):
    counted = []
    count = class_statistics._count
    monkeypatch.setattr(class_statistics, '_count', lambda labels, *a: counted.append(len(labels)) or count(labels, *a))

    def pixels(**kwargs):
        return class_pixels(DATASETS.build(data_set(three, **kwargs)))

    first = pixels()
    assert np.array_equal(pixels(), first)
    assert counted == [3]
    assert len(list(cache.iterdir())) == 1
    mapped = pixels(id_map={0: 'b', 1: 'b', 2: 'c', 255: 255})
    assert mapped.sum(0).tolist() == [0, 280, 10, 0, 0, 0]
    assert counted == [3, 3]
    Image.fromarray(np.full((10, 10), 3, np.uint8)).save(three / 'labels/0.png')
    assert pixels()[0].tolist() == [0, 0, 0, 100, 0, 0]
    assert counted == [3, 3, 3]
    for path in cache.iterdir():  # a crash of the machine
        path.write_bytes(path.read_bytes()[:40])
    assert pixels()[0].tolist() == [0, 0, 0, 100, 0, 0]
    assert len(counted) == 4


def test_counting_with_workers_leaves_the_random_state_alone(three, monkeypatch):
    monkeypatch.setattr(class_statistics, 'WORTH_WORKERS', 1)
    monkeypatch.setattr(class_statistics, 'WORKERS', 2)
    before = torch.get_rng_state()
    pixels = class_pixels(DATASETS.build(data_set(three)))
    assert torch.equal(torch.get_rng_state(), before)
    assert pixels[:, :3].tolist() == [[100, 0, 0], [50, 50, 0], [80, 0, 10]]


def test_a_cache_that_cannot_be_written_does_not_stop_the_run(three, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(class_statistics, 'print_log', lambda text, *_: said.append(text))
    (tmp_path / 'file').write_text('')
    pixels = class_pixels(DATASETS.build(data_set(three)), str(tmp_path / 'file'))
    assert pixels.sum() == 290
    assert any('file cannot be written (' in text for text in said)


def test_a_data_set_whose_pipeline_loads_no_labels_cannot_be_counted(three):
    with pytest.raises(UserError, match='IdMappedDataset.pipeline does not load labels, so classes cannot be counted'):
        class_pixels(DATASETS.build(data_set(three, LOAD[:1])))


@pytest.mark.parametrize('left', ['sample_class_stats.json', 'samples_with_class.json'])
def test_either_of_the_released_files_is_enough(released, left):
    dataset = DATASETS.build(data_set(released))
    both = class_pixels(dataset, str(released))
    for name in {'sample_class_stats.json', 'samples_with_class.json'} - {left}:
        (released / name).unlink()
    assert np.array_equal(class_pixels(dataset, str(released)), both)
    assert both[0].tolist() == [766484, 177636, 54766, 0, 1355, 5363]


def test_converted_labels_match_the_released_files_as_well_as_downloaded_ones(released):
    for path in (released / 'labels').iterdir():
        path.rename(path.with_name(path.stem + '_labelTrainIds.png'))
    dataset = DATASETS.build(data_set(released, suffix='_labelTrainIds.png'))
    assert class_pixels(dataset, str(released))[0, 0] == 766484


def spoil_names(root):
    path = root / 'sample_class_stats.json'
    path.write_text(path.read_text().replace('/00003_', '/99993_'))
    (root / 'samples_with_class.json').unlink()


def spoil_agreement(root):
    path = root / 'samples_with_class.json'
    path.write_text(path.read_text().replace('766484', '766485'))


def spoil_classes(root):
    path = root / 'sample_class_stats.json'
    path.write_text(path.read_text().replace('"4"', '"14"'))
    (root / 'samples_with_class.json').unlink()


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (
            spoil_names,
            r'sample_class_stats.json does not list .*00003.png, so it belongs to another data set: set stat',
        ),
        (spoil_agreement, r'sample_class_stats.json and .*samples_with_class.json differ: convert the labels again'),
        (spoil_classes, r'sample_class_stats.json lists the class 14, but the data set has 6 classes'),
        (lambda root: (root / 'sample_class_stats.json').write_text('[7'), r'does not contain class statistics'),
        (lambda root: (root / 'sample_class_stats.json').write_text('[{}]'), r'does not contain class statistics'),
    ],
)
def test_statistics_of_another_data_set_are_refused(released, spoil, message):
    spoil(released)
    with pytest.raises(UserError, match=message):
        RareClassOrder(DATASETS.build(data_set(released)), statistics=str(released))


# ------------------------------------------------------------------------------------------------------ RareClassCrop


def results_of(label, rare=None):
    index, image = 0 if rare is None else RareIndex(0, rare), np.zeros((*label.shape, 3), np.uint8)
    return dict(img=image, gt_seg_map=label, seg_fields=['gt_seg_map'], sample_idx=index)


def test_the_box_is_drawn_again_until_it_shows_the_class():
    label = np.zeros((40, 40), np.uint8)
    label[:8, :8] = 4
    crop = TRANSFORMS.build(dict(type='RareClassCrop', crop_size=(16, 16), min_pixels=20, tries=200))
    np.random.seed(0)
    for _ in range(20):
        shown = crop(results_of(label.copy(), rare=4))
        assert (shown['gt_seg_map'] == 4).sum() > 20
        assert shown['img'].shape[:2] == shown['gt_seg_map'].shape == (16, 16)
    plain = [(crop(results_of(label.copy()))['gt_seg_map'] == 4).sum() for _ in range(20)]
    assert min(plain) == 0  # drawn for no class: a plain RandomCrop


def test_at_most_eleven_boxes_are_drawn_of_an_image_whose_class_never_shows(monkeypatch):
    crop = TRANSFORMS.build(dict(type='RareClassCrop', crop_size=[4, 4]))
    drawn = []
    cut = type(crop).crop
    monkeypatch.setattr(type(crop), 'crop', lambda self, image, box: drawn.append(box) or cut(self, image, box))
    shown = crop(results_of(np.zeros((40, 40), np.uint8), rare=4))
    boxes = drawn[:-2]  # the last two cut image and label
    assert len(boxes) == 10
    assert drawn[-1] not in boxes  # an eleventh, taken whatever it shows
    assert len({*drawn}) == RCS['source_reads_when_no_crop_ever_shows_the_class'] == 11
    assert shown['img'].shape == (4, 4, 3)


def test_a_rare_class_crop_without_an_order_that_draws_classes_is_refused(three):
    dataset = DATASETS.build(data_set(three, [*LOAD, dict(type='RareClassCrop', crop_size=4)]))
    with pytest.raises(UserError, match='RareClassCrop, but the order of the source does not draw classes: set sampl'):
        OrderSampler(dataset, dict(type='ShuffledOrder'), seed=0)
    OrderSampler(dataset, dict(type='RareClassOrder', min_pixels=5), seed=0)


def test_a_shuffled_pass_is_drawn_once_however_many_of_its_positions_are_asked_for(monkeypatch):
    drawn = []
    order = ShuffledOrder(range(10))
    stretch = order.stretch
    monkeypatch.setattr(order, 'stretch', lambda seed: drawn.append(seed) or stretch(seed))
    assert sorted(order(3, p) for p in range(20, 30)) == list(range(10))
    assert len(drawn) == 1
