"""A config's streams: their names, data sets, pipelines and batch sizes. Only this module knows the names.

A stream is a data set that training walks separately: a labelled ``source``, an unlabelled ``target``, a
``labeled_target``, and any further one with its own name, such as a second target ``night``.
"""

from __future__ import annotations

import os.path as osp
from collections.abc import Callable, Iterator
from typing import Any
from zlib import crc32

from ..models.losses import DOMAINS
from .pipelines import unlabelled

SOURCE, TARGET = DOMAINS
LABELED_TARGET = 'labeled_target'
KNOWN = (SOURCE, TARGET, LABELED_TARGET)


def is_labelled(stream: str) -> bool:
    """Whether labels of ``stream`` are read: it is the source, or its name begins with ``labeled_``."""
    return stream == SOURCE or stream.startswith('labeled_')


def stream_number(stream: str) -> int:
    """A seed for the order of ``stream``. It depends only on the name, so no stream changes another's order."""
    return KNOWN.index(stream) if stream in KNOWN else crc32(stream.encode())


def domains_of(dataset: dict) -> dict[str, dict]:
    """The configs of a pair's streams by name; for any other data set, ``'source'`` → the config itself."""
    if SOURCE not in dataset:
        return {SOURCE: dataset}
    further = [name for name, value in dataset.items() if isinstance(value, dict) and 'type' in value]
    names = dict.fromkeys([*(name for name in KNOWN if dataset.get(name) is not None), *further])
    return {name: dataset[name] for name in names}


def with_pipelines(streams: dict[str, dict]) -> dict[str, dict]:
    """The same configs. A data set without ``pipeline`` gets the source's, less label steps if no labels are read.

    >>> streams = dict(source=dict(pipeline=[dict(type='LoadImage'), dict(type='LoadLabels')]), target=dict())
    >>> with_pipelines(streams)['target']
    {'pipeline': [{'type': 'LoadImage'}]}
    """
    _, first = next(parts(streams[SOURCE]))
    pipeline = first.get('pipeline', ())

    def complete(name: str, part: dict) -> dict:
        return {'pipeline': pipeline if is_labelled(name) else unlabelled(pipeline), **part}

    return {name: changed(cfg, lambda part, name=name: complete(name, part)) for name, cfg in streams.items()}


def batch_sizes_of(dataloader: dict) -> dict[str, int]:
    """Images of each stream in a batch, from the config ``dataloader``."""
    sizes = dataloader['dataset'].get('batch_sizes') or {}
    return {name: dataloader['batch_size'] * sizes.get(name, 1) for name in domains_of(dataloader['dataset'])}


def parts(dataset: Any, key: str = '') -> Iterator[tuple[str, Any]]:
    """The data sets, configs or built, within ``ConcatDataset``, ``RepeatDataset``, …, each with its key.

    >>> [key for key, _ in parts(dict(datasets=[dict(type='A'), dict(dataset=dict(type='B'))]), 'source')]
    ['source.datasets.0', 'source.datasets.1.dataset']
    """
    get = dataset.get if isinstance(dataset, dict) else lambda name: getattr(dataset, name, None)
    if (several := get('datasets')) is not None:
        for number, part in enumerate(several):
            yield from parts(part, f'{key}.datasets.{number}')
    elif (wrapped := get('dataset')) is not None:
        yield from parts(wrapped, f'{key}.dataset')
    else:
        yield key, dataset


def image_folder(part: dict) -> str:
    """The folder of the images of a data set's config; empty if it names none."""
    return osp.join(part.get('data_root') or '', (part.get('data_prefix') or {}).get('img_path') or '')


def changed(dataset: dict, change: Callable[[dict], dict]) -> dict:
    """The config with ``change`` applied to every data set that :func:`parts` yields for it."""
    if 'datasets' in dataset:
        return {**dataset, 'datasets': [changed(part, change) for part in dataset['datasets']]}
    if 'dataset' in dataset:
        return {**dataset, 'dataset': changed(dataset['dataset'], change)}
    return change(dataset)
