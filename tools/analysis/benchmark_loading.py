"""Measure how long it takes to list and load a config's data, with and without the cache of decoded images.

``python tools/analysis/benchmark_loading.py CONFIG [--images 50] [--workers 0 2 4] [--cache FOLDER] [--cfg-options …]``
"""

import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial

from mmengine.config import DictAction
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from prettytable import PrettyTable, TableStyle
from torch.utils.data import DataLoader

from mmseg_adapt.datasets.cache import cached
from mmseg_adapt.datasets.streams import changed, domains_of, with_pipelines
from mmseg_adapt.errors import one_sentence
from mmseg_adapt.files.config import config_of


def timed(cfg: dict) -> tuple[float, Sequence]:
    """Seconds to build a dataset, and the dataset."""
    start = time.perf_counter()
    dataset = DATASETS.build(cfg)
    return time.perf_counter() - start, dataset


def with_cache(dataset: dict, folder: str) -> dict:
    return {**dataset, 'pipeline': cached(dataset['pipeline'], folder)}


def images_per_second(dataset: Sequence, count: int, workers: int) -> float:
    """Images per second over ``count`` images, without the start of the workers."""
    sampler = [i % len(dataset) for i in range(count + 1)]
    batches = iter(DataLoader(dataset, 1, sampler=sampler, num_workers=workers, collate_fn=pseudo_collate))
    next(batches)
    start = time.perf_counter()
    for _ in batches:
        pass
    return count / (time.perf_counter() - start)


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('--images', type=int, default=50, help='number of images to load')
    parser.add_argument(
        '--workers', type=int, nargs='+', default=[0, 2], help='numbers of loading processes to measure'
    )
    parser.add_argument('--cache', help='folder of the cache (default: a temporary one)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides of the config')
    args = parser.parse_args()
    cfg = config_of(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    table = PrettyTable(['domain', 'files', 'listed in s', 'workers', 'images/s', 'first pass of the cache', 'cached'])
    table.set_style(TableStyle.MARKDOWN)
    with tempfile.TemporaryDirectory() as temporary:
        for name, part in with_pipelines(domains_of(cfg.train_dataloader.dataset)).items():
            for workers in args.workers:
                seconds, plain = timed(part)
                folder = args.cache or f'{temporary}/{name}{workers}'
                _, kept = timed(changed(part, partial(with_cache, folder=folder)))
                speeds = [images_per_second(d, args.images, workers) for d in (plain, kept, kept)]
                table.add_row([name, len(plain), f'{seconds:.2f}', workers, *(f'{speed:.1f}' for speed in speeds)])
    print(table)


if __name__ == '__main__':
    with one_sentence():
        main()
