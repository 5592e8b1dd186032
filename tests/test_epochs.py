"""mmengine's ``EpochBasedTrainLoop`` with the samplers of this package: an epoch is a pass over the source."""

import itertools

import pytest
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_adapt.datasets import DomainPairSampler, OrderSampler

from .test_resume import small


class Sizes:
    def __init__(self, **sizes):
        self.domains = {name: range(size) for name, size in sizes.items()}


def pair_sampler(**kwargs):
    return DomainPairSampler(Sizes(source=5, target=3), seed=1, **kwargs)


def epoch(sampler, number: int) -> list:
    sampler.by_epoch = True
    sampler.set_epoch(number)
    return list(sampler)


def test_epoch_after_epoch_is_the_endless_stream():
    endless = list(itertools.islice(pair_sampler(), 15))
    sampler = pair_sampler()
    assert [item for number in range(3) for item in epoch(sampler, number)] == endless
    assert epoch(sampler, 1) == endless[5:10]  # of a resumed run


def test_an_epoch_shows_each_source_image_once_and_has_the_length_that_it_says():
    sampler = pair_sampler()
    items = epoch(sampler, 7)
    assert len(sampler) == len(items) == 5
    assert sorted(source for source, _ in items) == list(range(5))


def test_an_epoch_of_several_images_per_item_is_a_pass_over_the_source():
    dataset = Sizes(source=5, target=30)
    dataset.batch_sizes = dict(source=2, target=1)
    sampler = DomainPairSampler(dataset, seed=1)
    items = epoch(sampler, 0)
    assert len(sampler) == len(items) == 3
    assert {i for source, _ in items for i in source} == set(range(5))


def test_the_ranks_of_a_distributed_epoch_share_its_items_and_have_equally_many(monkeypatch):
    parts = []
    for rank in range(2):
        monkeypatch.setattr('mmseg_adapt.datasets.samplers.get_dist_info', lambda rank=rank: (rank, 2))
        sampler = pair_sampler()
        parts.append([epoch(sampler, number) for number in range(2)])
        assert [len(items) for items in parts[-1]] == [len(sampler)] * 2 == [3, 3]
    monkeypatch.undo()
    shared = [item for number in range(2) for both in zip(*(part[number] for part in parts)) for item in both]
    assert shared == list(itertools.islice(pair_sampler(), 12))


def test_a_plain_data_set_in_an_order_has_epochs_too():
    sampler = OrderSampler(range(4), dict(type='ShuffledOrder'), seed=0)
    assert sorted(epoch(sampler, 3)) == list(range(4))


@HOOKS.register_module()
class Lengths(Hook):
    """The iterations at which epochs end, and what each of them saw."""

    def before_train_epoch(self, runner):
        runner.seen = getattr(runner, 'seen', [])
        runner.seen.append([])

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        runner.seen[-1] += [sample.img_path for sample in data_batch['source']['data_samples']]


@pytest.mark.parametrize('workers', [0, 1])
def test_a_runner_ends_every_epoch_after_a_pass_over_the_source(workers, street_data, tmp_path):
    cfg = small('demo/streets_multilevel.py', street_data, tmp_path)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=9)
    cfg.train_dataloader.update(num_workers=workers, persistent_workers=bool(workers))
    cfg.default_hooks.checkpoint.update(by_epoch=True, interval=9)
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='Lengths')]
    cfg.experiment_name = cfg.visualizer.name = f'epochs_{workers}'
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert (runner.epoch, runner.iter) == (2, 8)  # of four source images
    assert [len(paths) for paths in runner.seen] == [len(set(paths)) for paths in runner.seen] == [4, 4]
