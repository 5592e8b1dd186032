"""Streams through a real run: several data sets in one, further streams, batch sizes that differ, exact resume."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from mmseg.registry import DATASETS, MODELS
from PIL import Image

from mmseg_adapt.datasets import DomainPairSampler
from mmseg_adapt.datasets.streams import batch_sizes_of, domains_of, parts, with_pipelines
from mmseg_adapt.errors import UserError
from mmseg_adapt.runs.resumable_train_loop import SampleStream, SeededSamples

from . import forked
from .tiny import CONFIGS, REPO, load, tiny_config, train

CLASSES = ('road', 'sidewalk', 'building', 'pole', 'vegetation', 'sky', 'person', 'car')
LOAD = [dict(type='LoadImage'), dict(type='LoadLabels'), dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')]
STOCK = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), *LOAD[2:]]
SEEN: list[dict[str, list[str]]] = []


@MODELS.register_module()
class Recorder(BaseModel):
    """Stands in for a method: notes which images of which stream arrive, and learns the mean of all pixels."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def train_step(self, data, optim_wrapper):
        SEEN.append({name: [sample.img_path for sample in batch['data_samples']] for name, batch in data.items()})
        assert all(len(batch['inputs']) == len(batch['data_samples']) for batch in data.values())
        batches = {name: torch.stack(batch['inputs']).double() for name, batch in data.items()}
        labels = {name: all('gt_sem_seg' in s for s in batch['data_samples']) for name, batch in data.items()}
        assert labels == {name: name in ('source', 'labeled_target') for name in data}
        loss = sum((self.weight - batch[..., 0].mean() / 255) ** 2 for batch in batches.values())
        optim_wrapper.update_params(loss)
        return dict(loss=loss)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        raise NotImplementedError


def folder(root: Path, place: str = 'source', labels: bool = True, **kwargs) -> dict:
    prefix = dict(img_path=f'{place}/images', **(dict(seg_map_path=f'{place}/labels') if labels else {}))
    ids = dict(id_map={i: i for i in range(8)}) if labels else {}
    own = dict(type='IdMappedDataset', data_root=str(root), img_suffix='.png', metainfo=dict(classes=CLASSES))
    return {**own, **ids, 'data_prefix': prefix, 'serialize_data': False, **kwargs}  # mmengine's takes a second


def stock(root: Path, place: str = 'source', **kwargs) -> dict:
    """The same files through MMSegmentation's own data set and loading."""
    cfg = folder(root, place, **kwargs)
    cfg.pop('id_map', None)
    return {'pipeline': STOCK, **cfg, 'type': 'BaseSegDataset'}


def several(*datasets: dict) -> dict:
    return dict(type='ConcatDataset', datasets=list(datasets))


def streams_of(root: Path) -> dict:
    """Two sources of different classes of data set, two targets in one stream, a further stream, a labelled target."""
    target, val = folder(root, 'target/train', labels=False), folder(root, 'target/val', labels=False)
    return dict(
        type='DomainPairDataset',
        source=several(folder(root, pipeline=LOAD, indices=[0, 1]), stock(root, indices=[2, 3])),
        target=several(target, dict(type='RepeatDataset', dataset=val, times=2)),
        labeled_target=folder(root, 'target/val', pipeline=LOAD),
        night=val,
    )


def config_of(dataset: dict, work_dir: Path, iterations: int = 6, batch_size: int = 1, workers: int = 0, **loader):
    cfg = tiny_config('demo/streets_singlelevel.py', Path('unused'), work_dir, iterations)
    cfg.train_dataloader = {
        **dict(batch_size=batch_size, num_workers=workers, sampler=dict(type='DomainPairSampler'), dataset=dataset),
        **loader,
    }
    cfg.model = dict(type='Recorder')
    cfg.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9))
    cfg.custom_hooks = []
    cfg.default_hooks = dict(cfg.default_hooks, checkpoint=dict(type='CheckpointHook', interval=3, by_epoch=False))
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator', 'test_dataloader', 'test_cfg', 'test_evaluator'):
        cfg[key] = None
    return cfg


def paths(name: str, dataset) -> list[str]:
    return [dataset.domains[name].get_data_info(i)['img_path'] for i in range(len(dataset.domains[name]))]


def test_every_stream_arrives_with_its_own_batch_size_in_its_own_order(street_data, tmp_path):
    SEEN.clear()
    sizes = dict(source=2, target=3, night=1)
    dataset = dict(streams_of(street_data), batch_sizes=sizes)
    sampler = dict(type='DomainPairSampler', orders=dict(night=dict(type='SequentialOrder')))
    train(config_of(dataset, tmp_path, batch_size=2, workers=2, sampler=sampler))
    assert [{name: len(images) for name, images in batch.items()} for batch in SEEN] == [
        dict(source=4, target=6, labeled_target=2, night=2)
    ] * 6
    built = DATASETS.build(dataset)
    arrived = {name: [path for batch in SEEN for path in batch[name]] for name in built.domains}
    assert arrived['night'] == paths('night', built) * 6
    for name, count in dict(source=4, target=8, labeled_target=2).items():  # pass by pass, each image once
        known = sorted(paths(name, built))
        assert len(known) == count
        whole = len(arrived[name]) // count * count
        assert all(sorted(arrived[name][i : i + count]) == known for i in range(0, whole, count))
    expected = itertools.islice(DomainPairSampler(built, seed=0), 12)
    sources = paths('source', built)
    assert arrived['source'] == [sources[i] for item in expected for i in item[0]]


def test_without_batch_sizes_every_stream_has_the_loaders(street_data, tmp_path):
    SEEN.clear()
    train(config_of(streams_of(street_data), tmp_path, iterations=2, batch_size=3))
    assert {len(images) for batch in SEEN for images in batch.values()} == {3}
    assert list(SEEN[0]) == ['source', 'target', 'labeled_target', 'night']


def test_the_game_trains_on_two_sources_and_two_targets(street_data, tmp_path):
    cfg = tiny_config('demo/streets_singlelevel.py', street_data, tmp_path)
    cfg.train_cfg.val_interval = 10
    dataset = streams_of(street_data)
    dataset.pop('labeled_target')
    cfg.train_dataloader.dataset = dict(dataset, batch_sizes=dict(target=2))
    runner = train(cfg)
    history = runner.message_hub.log_scalars
    assert np.isfinite(history['train/decode.loss_ce'].data[0]).all()
    assert len(history['train/decode.loss_ce'].data[0]) == 2


def states_after(root: Path, work_dir: Path, iterations: int, workers: int, resume: str | None = None) -> dict:
    dataset = dict(streams_of(root), batch_sizes=dict(source=2, target=3))
    cfg = config_of(dataset, work_dir, iterations, batch_size=2, workers=workers)
    cfg.train_dataloader.sampler.orders = dict(
        source=dict(type='RareClassOrder', min_pixels=10, temperature=1.0, statistics=str(root / 'counted'))
    )
    cfg.resume, cfg.load_from = bool(resume), resume
    train(cfg)
    return load(work_dir / f'iter_{iterations}.pth')


def test_a_resumed_run_with_batch_sizes_of_its_own_is_the_uninterrupted_one_to_the_bit(street_data, tmp_path):
    SEEN.clear()
    whole = states_after(street_data, tmp_path / 'whole', 6, workers=0)
    expected = SEEN.copy()
    SEEN.clear()
    states_after(street_data, tmp_path / 'half', 3, workers=0)
    resumed = states_after(street_data, tmp_path / 'half', 6, workers=2, resume=str(tmp_path / 'half/iter_3.pth'))
    assert expected == SEEN
    assert len({json.dumps(batch) for batch in SEEN}) == 6
    assert torch.equal(resumed['state_dict']['weight'], whole['state_dict']['weight'])
    assert resumed['exact_resume']['data'] == whole['exact_resume']['data'] == dict(seed=0, samples=12)


@pytest.mark.slow
def test_two_ranks_with_batch_sizes_of_their_own_resume_as_if_never_interrupted(street_data, tmp_path):
    cfg = tiny_config('demo/streets_singlelevel.py', street_data, tmp_path, iterations=6)
    dataset = streams_of(street_data)
    dataset.pop('labeled_target')
    cfg.train_dataloader.dataset = dict(dataset, batch_sizes=dict(source=2, target=3))
    cfg.train_dataloader.num_workers = 2
    cfg.train_cfg.val_interval = 100
    cfg.default_hooks.checkpoint.interval = 3
    cfg.dump(tmp_path / 'game.py')

    def job(name: str, *options: str) -> dict:
        arguments = [str(tmp_path / 'game.py'), '--work-dir', str(tmp_path / name), *options]
        return dict(tool='train.py', arguments=arguments, log=str(tmp_path / f'{name}.log'), ranks=2)

    half = job('half', '--cfg-options', 'train_cfg.max_iters=3')
    forked.run([job('whole'), half, job('half', '--resume')], tmp_path)
    whole, resumed = (load(tmp_path / name / 'iter_6.pth') for name in ('whole', 'half'))
    assert resumed['exact_resume']['data'] == dict(seed=0, samples=12)
    for name, tensor in whole['state_dict'].items():
        torch.testing.assert_close(resumed['state_dict'][name], tensor, rtol=1e-6, atol=1e-6)


def test_two_ranks_share_one_stream_of_items_before_and_after_a_resume(street_data, monkeypatch):
    samples = SeededSamples(dict(streams_of(street_data), batch_sizes=dict(source=2, target=3)))

    def drawn(rank: int, world: int, start: int, count: int) -> list:
        for module in ('datasets.samplers', 'runs.resumable_train_loop'):
            monkeypatch.setattr(f'mmseg_adapt.{module}.get_dist_info', lambda: (rank, world))
        stream = SampleStream(samples, dict(type='DomainPairSampler'), seed=3)
        stream.begin(start, 3)
        return list(itertools.islice(stream, count))

    whole = drawn(0, 1, 0, 24)
    assert [[len(images) for images in index] for _, index in whole] == [[2, 3, 1, 1]] * 24
    both = zip(drawn(0, 2, 10, 7), drawn(1, 2, 10, 7))
    assert [item for pair in both for item in pair] == whole[10:]


def test_the_config_of_streams_is_read_in_one_place(street_data):
    dataset = streams_of(street_data)
    assert list(domains_of(dataset)) == ['source', 'target', 'labeled_target', 'night']
    assert domains_of(folder(street_data)) == dict(source=folder(street_data))
    complete = with_pipelines(domains_of(dataset))
    steps = {key: [s['type'] for s in p['pipeline']] for name, cfg in complete.items() for key, p in parts(cfg, name)}
    unlabelled = ['LoadImage', 'RandomFlip', 'PackSegInputs']
    assert steps['source.datasets.1'] == [step['type'] for step in STOCK]
    assert steps['target.datasets.0'] == steps['target.datasets.1.dataset'] == steps['night'] == unlabelled
    loader = dict(batch_size=2, dataset=dict(dataset, batch_sizes=dict(target=3)))
    assert batch_sizes_of(loader) == dict(source=2, target=6, labeled_target=2, night=2)


def test_data_sets_of_one_stream_may_differ_in_all_but_their_classes(street_data):
    palette = [[i, i, i] for i in range(8)]
    one = folder(street_data, pipeline=LOAD, metainfo=dict(classes=CLASSES, palette=palette))
    other = stock(street_data, metainfo=dict(classes=list(CLASSES), scenery='streets'))
    dataset = DATASETS.build(dict(streams_of(street_data), source=several(one, other)))
    assert len(dataset.domains['source']) == 8
    first, second = (dataset.domains['source'][i]['data_samples'].gt_sem_seg.data for i in (0, 4))
    assert torch.equal(first, second) or torch.equal(first, second.flip(-1))  # of one file


# ---------------------------------------------------------------------------------------------------------- bad input


def empty(root: Path, tmp_path: Path) -> dict:
    (tmp_path / 'nothing/images').mkdir(parents=True)
    return dict(data_root=str(tmp_path), data_prefix=dict(img_path='nothing/images'))


def other_classes(root: Path) -> dict:
    return folder(root, pipeline=LOAD, metainfo=dict(classes=CLASSES[::-1]))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda d, r, t: d.update(night=dict(d['night'], **empty(r, t))),
            r'no image matches \*.png in .*nothing/images',
        ),
        (
            lambda d, r, t: d.update(source=several(folder(r, pipeline=LOAD), dict(stock(r), **empty(r, t)))),
            r'no image matches \*.png in .*nothing/images: set train_dataloader.dataset.source.datasets.1.img_s',
        ),
        (  # mmengine cannot serialise an empty list, and does not mind one that is not serialised
            lambda d, r, t: d.update(night=stock(r, labels=False, pipeline=[], serialize_data=True, **empty(r, t))),
            r'no image matches \*.png in .*nothing/images: set train_dataloader.dataset.night.img_suffix',
        ),
        (
            lambda d, r, t: d.update(night=dict(type='RepeatDataset', dataset=d['night'], times=0)),
            r'train_dataloader.dataset.night contains no images',
        ),
        (
            lambda d, r, t: d.update(night=dict(d['night'], data_root='nowhere')),
            r'nowhere/target/val/images does not exist: set data_root',
        ),
        (
            lambda d, r, t: d.update(night=dict(stock(r, labels=False), data_root='nowhere', pipeline=[])),
            r'nowhere/source/images does not exist: set train_dataloader.dataset.night.data_root',
        ),
        (
            lambda d, r, t: d.update(source=several(folder(r, pipeline=LOAD), other_classes(r))),
            r"source.datasets.1 has the classes \['car', .*, but the source has \['road', .*: set source.datasets",
        ),
        (
            lambda d, r, t: d.update(labeled_target=other_classes(r)),
            r'dataset.labeled_target has the classes .*: set labeled_target.metainfo.classes to those of the source',
        ),
        (
            lambda d, r, t: d.update(target=dict(d['night'], metainfo=dict(classes=CLASSES[:3]))),
            r'dataset.target has the classes .*: set target.metainfo.classes to those of the source',
        ),
        (
            lambda d, r, t: d.update(source=several(folder(r, pipeline=LOAD), folder(r, labels=False))),
            r'dataset.source.datasets.1 has no labels: set source.datasets.1.data_prefix.seg_map_path to their folder',
        ),
        (
            lambda d, r, t: d.update(night=dict(d['night'], pipeline=LOAD)),
            r'dataset.night.pipeline has LoadLabels: remove it; adaptation is unsupervised',
        ),
        (
            lambda d, r, t: d.update(target=several(d['night'], stock(r))),
            r'dataset.target.datasets.1.pipeline has LoadAnnotations: remove it',
        ),
        (
            lambda d, r, t: d.update(batch_size=4),
            r'train_dataloader.dataset.batch_size must be the config of a data set',
        ),
        (lambda d, r, t: d.update(night=dict(data_root='x')), r'train_dataloader.dataset.night has no type'),
        (
            lambda d, r, t: d.update(batch_sizes=dict(dusk=2)),
            r"batch_sizes has 'dusk': it must be one of source, target, labeled_target, night",
        ),
        (lambda d, r, t: d.update(batch_sizes=dict(night=0)), r'batch_sizes.night = 0 must be an integer'),
    ],
)
def test_streams_that_cannot_be_trained_on_are_refused_by_name(street_data, tmp_path, change, message):
    dataset = streams_of(street_data)
    change(dataset, street_data, tmp_path)
    with pytest.raises(UserError, match=message):
        DATASETS.build(dataset)


def test_an_order_of_an_unknown_class_stops_the_run_before_its_first_iteration(street_data, tmp_path):
    SEEN.clear()
    cfg = config_of(streams_of(street_data), tmp_path)
    cfg.train_dataloader.sampler.orders = dict(source=dict(type='RareClassOrder', classes=['tram']))
    with pytest.raises(UserError, match="RareClassOrder.classes has 'tram': it must be one of road, sidewalk"):
        train(cfg)
    assert not SEEN


def test_a_target_of_other_classes_by_its_type_alone_is_no_mistake_as_its_labels_are_not_read(street_data):
    dataset = streams_of(street_data)
    target = dict(type='GTADataset', data_root=str(street_data), data_prefix=dict(img_path='target/val/images'))
    target['serialize_data'] = False
    assert len(DATASETS.build(dict(dataset, target=target)).domains['target']) == 2


def test_streams_of_any_image_size_arrive(tmp_path, street_data):
    (tmp_path / 'images').mkdir()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / 'images/0.png')
    night = folder(tmp_path, labels=False, data_prefix=dict(img_path='images'))
    dataset = DATASETS.build(dict(streams_of(street_data), night=night))
    assert dataset[(0, 0, 0, 0)]['night']['inputs'].shape == (3, 20, 30)


def test_the_config_in_the_docs_trains(street_data, tmp_path, monkeypatch):
    (snippet,) = re.findall(r'```python\n(.*?)```', (REPO / 'docs/streams.md').read_text(), flags=re.S)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    snippet = snippet.replace('../demo', str(CONFIGS / 'demo'))
    (tmp_path / 'streams.py').write_text(snippet)
    cfg = tiny_config(tmp_path / 'streams.py', street_data, tmp_path)
    del cfg.train_dataloader.dataset.source['data_root']  # a ConcatDataset has none
    for stream in domains_of(cfg.train_dataloader.dataset).values():
        for _, part in parts(stream):
            part.data_root = str(street_data)
    cfg.train_cfg.val_interval = 10
    runner = train(cfg)
    assert batch_sizes_of(runner.cfg.train_dataloader) == dict(source=2, target=1, night=1)
    assert len(runner.train_dataloader.dataset.domains['source']) == 12
