"""The cache of decoded images: equal pixels, whatever happens to its files."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmseg.registry import DATASETS
from torch.utils.data import DataLoader

from mmseg_adapt.datasets.cache import Cached, cached
from mmseg_adapt.errors import UserError

from .test_training import scalars
from .tiny import run_tool, tiny_config

RESIZE = dict(type='Resize', scale=(96, 48), keep_ratio=False, interpolation='bicubic', backend='pillow')
STEPS = [dict(type='LoadImage'), dict(type='LoadLabels'), dict(type='CropBox', top=8), RESIZE]
PACK = dict(type='PackSegInputs')


@pytest.fixture
def data(street_data, tmp_path):
    return shutil.copytree(street_data / 'source', tmp_path / 'source')


def dataset(data, pipeline, **kwargs):
    prefix = dict(img_path='images', seg_map_path='labels')
    cfg = dict(type='IdMappedDataset', data_root=str(data), data_prefix=prefix, img_suffix='.png', pipeline=pipeline)
    kwargs.setdefault('id_map', {i: i for i in range(8)})
    return DATASETS.build(dict(cfg, metainfo=dict(classes=tuple('abcdefgh')), **kwargs))


def content(sample: dict) -> tuple:
    """Everything that a sample is made of."""
    packed = sample['data_samples']
    image, label = sample['inputs'].numpy(), packed.gt_sem_seg.data.numpy()
    return image.tobytes(), image.dtype, label.tobytes(), label.dtype, sorted(packed.metainfo.items())


def contents(data, pipeline, **kwargs) -> list[tuple]:
    return [content(sample) for sample in dataset(data, pipeline, **kwargs)]


def kept_in(folder) -> list:
    return sorted(folder.rglob('*.npz'))


@pytest.mark.parametrize('steps', [STEPS, [STEPS[0], STEPS[2], RESIZE, STEPS[1]]], ids=['label first', 'label last'])
def test_pixels_labels_and_meta_data_are_equal_with_and_without(steps, data, tmp_path, monkeypatch):
    plain = contents(data, [*steps, PACK])
    pipeline = cached([*steps, PACK], str(tmp_path / 'cache'))
    assert [step['type'] for step in pipeline] == ['Cached', 'PackSegInputs']
    assert contents(data, pipeline) == plain
    assert len(kept_in(tmp_path / 'cache')) == len(plain) == 4
    monkeypatch.setattr('mmseg_adapt.datasets.transforms.LoadImage.transform', None)  # decodes nothing any more
    assert contents(data, pipeline) == plain


def test_a_changed_file_or_setting_is_read_anew(data, tmp_path):
    pipeline = cached([*STEPS, PACK], str(tmp_path / 'cache'))
    before = contents(data, pipeline)
    shutil.copy(data / 'images/00001.png', data / 'images/00000.png')
    shutil.copy(data / 'labels/00003.png', data / 'labels/00002.png')
    os.utime(data / 'images/00003.png', ns=(0, 1))  # as a file of the same size that was written since
    after = contents(data, pipeline)
    assert [a == b for a, b in zip(after, before)] == [False, True, False, True]
    assert after == contents(data, [*STEPS, PACK])
    assert len(kept_in(tmp_path / 'cache')) == 4 + 3
    ids = {i: 7 - i for i in range(8)}
    assert contents(data, pipeline, id_map=ids) == contents(data, [*STEPS, PACK], id_map=ids) != after
    smaller = [*STEPS[:3], dict(RESIZE, scale=(48, 24)), PACK]
    assert contents(data, cached(smaller, str(tmp_path / 'cache'))) == contents(data, smaller)


def test_a_file_that_is_not_whole_is_made_anew(data, tmp_path):
    plain = content(dataset(data, [*STEPS, PACK])[0])
    kept = dataset(data, cached([*STEPS, PACK], str(tmp_path / 'cache')))
    kept[0]
    (file,) = kept_in(tmp_path / 'cache')
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [whole[:n] for n in (0, 1, 30, *rng.integers(len(whole), size=20))]
    header = whole.index(b'PK\x01\x02')  # of the archive's directory: version, flags, method of compression
    for place in (*rng.integers(len(whole), size=40), *range(header, header + 12)):
        damaged += [whole[:place] + bytes([whole[place] ^ bits]) + whole[place + 1 :] for bits in (0xFF, 1)]
    for content_of_file in damaged:
        file.write_bytes(content_of_file)
        assert content(kept[0]) == plain
    file.write_bytes(damaged[5])
    kept[0]
    assert file.read_bytes() == whole


def test_an_interrupted_write_leaves_no_file_to_be_read(data, tmp_path, monkeypatch):
    plain = content(dataset(data, [*STEPS, PACK])[0])
    kept = dataset(data, cached([*STEPS, PACK], str(tmp_path / 'cache')))

    def interrupted(part, data):
        with part.open('wb') as file:
            file.write(data[: len(data) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, 'write_bytes', interrupted)
        kept[0]
    assert kept_in(tmp_path / 'cache') == []
    assert content(kept[0]) == content(kept[0]) == plain
    assert len(kept_in(tmp_path / 'cache')) == 1


def test_what_a_killed_worker_left_is_removed_a_day_later(data, tmp_path):
    folder = tmp_path / 'cache'
    folder.mkdir()
    dead, alive = folder / '.part-dead', folder / '.part-alive'
    dead.touch(), alive.touch()
    os.utime(dead, (0, 0))
    dataset(data, cached([*STEPS, PACK], str(folder)))
    assert list(folder.iterdir()) == [alive]


def test_a_full_disk_costs_the_gain_and_not_the_run(data, tmp_path, monkeypatch):
    plain = contents(data, [*STEPS, PACK])

    def full(part, data):
        with part.open('wb') as file:
            file.write(data[:100])
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', full)
    lines = []
    monkeypatch.setattr('mmseg_adapt.datasets.cache.print_log', lambda line, logger: lines.append(line))
    assert contents(data, cached([*STEPS, PACK], str(tmp_path / 'cache'))) == plain
    assert len(lines) == 1
    assert 'cannot be written ([Errno 28] No space left on device): no more images are cached' in lines[0]
    assert not [path for path in (tmp_path / 'cache').rglob('*') if path.is_file()]


def test_workers_that_make_the_same_file_at_once_agree(data, tmp_path):
    plain = contents(data, [*STEPS, PACK])
    kept = dataset(data, cached([*STEPS, PACK], str(tmp_path / 'cache')))
    order = [i // 4 % 4 for i in range(48)]  # four workers in turn: all of them at the same image
    loader = DataLoader(kept, 1, sampler=order, num_workers=4, collate_fn=lambda batch: batch[0])
    assert [content(sample) for sample in loader] == [plain[i] for i in order]
    files = [path for path in (tmp_path / 'cache').rglob('*') if path.is_file()]
    assert sorted(files) == kept_in(tmp_path / 'cache')
    assert len(files) == 4


def test_steps_with_randomness_a_later_place_and_target_labels_are_refused(street_data, tmp_path):
    with pytest.raises(UserError, match='Cached can keep LoadImage, .* but not RandomFlip: move it after'):
        Cached('cache', [dict(type='LoadImage'), dict(type='RandomFlip', prob=0.5)])
    later = [dict(type='LoadImage'), dict(type='Cached', folder=str(tmp_path / 'cache'), transforms=STEPS[1:])]
    with pytest.raises(UserError, match='Cached must be the first step of its pipeline'):
        dataset(street_data / 'source', [*later, PACK])[0]
    source = dict(type='IdMappedDataset')
    with pytest.raises(UserError, match='target.pipeline has LoadLabels: remove it'):
        DATASETS.build(dict(type='DomainPairDataset', source=source, target=dict(pipeline=cached(STEPS, 'cache'))))


def test_training_with_the_cache_is_training_without_it(street_data, tmp_path, monkeypatch):
    losses = []
    for name, options in (('plain', ()), ('cached', ('--cache', tmp_path / 'cache'))):
        cfg = tiny_config('demo/streets_singlelevel.py', street_data, tmp_path / name, iterations=6)
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        cfg.visualizer.name = cfg.experiment_name = f'cache_{name}'
        cfg.dump(tmp_path / f'{name}.py')
        run_tool('train.py', tmp_path / f'{name}.py', *options, monkeypatch=monkeypatch)
        losses.append([[row[k] for k in sorted(row) if 'loss' in k] for row in scalars(tmp_path / name)])
    assert losses[0] == losses[1]  # each image is made once and then read
    assert len(losses[0]) == 6
    assert len(kept_in(tmp_path / 'cache')) == 8  # four images of each domain
