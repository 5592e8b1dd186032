"""The picture and the timings of a config's data."""

import copy
import re
import runpy

import numpy as np
from matplotlib import pyplot as plt
from mmengine.config import Config

from mmseg_adapt.cli.launch import enable_amp

from .tiny import REPO, run_tool, tiny_config

BROWSE = runpy.run_path(str(REPO / 'tools/analysis/browse_data.py'), run_name='browse_data')


def sheet_of(cfg: Config, rows: int = 2):
    return BROWSE['contact_sheet'](BROWSE['streams_of'](cfg), rows=rows, counted=4)


def ignoring(cfg: Config, *classes: int) -> Config:
    cfg.train_dataloader.dataset.source.id_map = {i: 255 if i in classes else i for i in range(8)}
    return cfg


def test_ignored_areas_are_hatched_and_shares_are_those_of_the_labels(street_data, tmp_path):
    cfg = ignoring(tiny_config('demo/streets_singlelevel.py', street_data, tmp_path), 5)  # no sky
    source = BROWSE['streams_of'](cfg)['source']
    labels = np.stack([source[i]['data_samples'].gt_sem_seg.data[0].numpy() for i in range(4)])
    figure = sheet_of(cfg)
    *cells, bars = figure.axes
    assert len(cells) == 2 * 3
    for image, label, target in np.reshape(cells, (-1, 3)):
        assert image.images[0].get_array().shape == target.images[0].get_array().shape == (96, 192, 3)
        assert image.get_title().startswith('source: ')
        assert target.get_title().startswith('target: ')
        (hatched,) = label.collections
        assert hatched.hatches == ['////']
    heights = [bar.get_height() for bar in bars.patches]
    expected = [100 * (labels == i).mean() for i in [*range(8), 255]]
    np.testing.assert_allclose(heights, expected, rtol=1e-6)
    assert heights[5] == 0 < heights[8]
    plt.close(figure)


def test_a_config_without_target_shows_the_source_and_nothing_is_hatched_where_nothing_is_ignored(
    street_data, tmp_path
):
    figure = sheet_of(tiny_config('demo/streets_source_only.py', street_data, tmp_path), rows=1)
    image, label, _ = figure.axes
    assert not label.collections
    colours = {tuple(c) for c in label.images[0].get_array().reshape(-1, 3)}
    palette = Config.fromfile(REPO / 'configs/demo/streets_source_only.py').train_dataloader.dataset.metainfo.palette
    assert colours <= {tuple(c) for c in palette}
    plt.close(figure)


def semi_supervised(data, folder) -> Config:
    """The target has the source's pipeline, less labels."""
    cfg = tiny_config('demo/streets_singlelevel.py', data, folder)
    dataset = cfg.train_dataloader.dataset
    del dataset.target['pipeline']
    dataset.labeled_target = dict(dataset.source, indices=[1])
    cfg.model.lambda_target = 1.0
    return cfg


def test_a_labelled_target_is_shown_with_its_labels(street_data, tmp_path):
    figure = sheet_of(semi_supervised(street_data, tmp_path))
    titles = [axis.get_title().split(':')[0] for axis in figure.axes]
    row = ['source', 'source labels', 'target', 'labeled_target', 'labeled_target labels']
    assert titles == [*row, *row, 'source, 4 labels']
    assert figure.axes[3].get_title() == 'labeled_target: 00001.png 192×96'
    plt.close(figure)


def test_memory_is_that_of_all_domains(street_data, tmp_path, monkeypatch):
    tool = runpy.run_path(str(REPO / 'tools/analysis/memory.py'), run_name='memory')
    measure, batch_of, labelled = tool['measure'], tool['batch_of'], []

    def recorded(size, batch_size, labels):
        labelled.append(labels)
        return batch_of(size, batch_size, labels)

    monkeypatch.setitem(measure.__globals__, 'batch_of', recorded)
    cfg = semi_supervised(street_data, tmp_path)
    for domain in (cfg.train_dataloader.dataset.source, cfg.train_dataloader.dataset.labeled_target):
        domain.pipeline.insert(2, dict(type='Resize', scale=(192, 96)))
    found = measure(cfg)
    assert labelled == [True, False, True]
    assert found['total'] > found['activations'] > 0
    half = copy.deepcopy(cfg)
    enable_amp(half, 'fp16', gpu=False)
    less = measure(half)
    assert less['state'] == found['state']  # the optimisers have made theirs
    assert less['activations'] < found['activations']


def test_loading_is_timed_for_each_domain_with_and_without_the_cache(street_data, tmp_path, monkeypatch, capsys):
    semi_supervised(street_data, tmp_path).dump(tmp_path / 'tiny.py')
    cache = tmp_path / 'cache'
    options = ('--images', 4, '--workers', 0, '--cache', cache)
    run_tool('analysis/benchmark_loading.py', tmp_path / 'tiny.py', *options, monkeypatch=monkeypatch)
    rows = re.findall(r'^\| +(\w+) +\| +(\d+) +\| +([\d.]+) +\| +0 +\|(.*)\|$', capsys.readouterr().out, flags=re.M)
    assert [(domain, files) for domain, files, _, _ in rows] == [
        ('source', '4'),
        ('target', '4'),
        ('labeled_target', '1'),
    ]
    assert all(float(speed) > 0 for row in rows for speed in row[3].split('|'))
    assert len(list(cache.rglob('*.npz'))) == 8
