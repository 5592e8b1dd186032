"""The images on which snapshots are compared: unlabelled target images as in testing, and labelled source images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from mmseg.registry import DATASETS
from mmseg.structures import SegDataSample
from torch import Tensor

from ..datasets.domains import build_stream
from ..datasets.streams import SOURCE, changed, domains_of, is_labelled, with_pipelines
from ..errors import UserError
from ..files.listing import images_below
from ..random_state import derived_seed, seeded

Sample = dict  # inputs (3, H, W), data_samples


def target_of(cfg: Config) -> dict | None:
    """The first unlabelled stream of a config, or None."""
    streams = with_pipelines(domains_of(cfg.train_dataloader.dataset))
    return next((stream for name, stream in streams.items() if not is_labelled(name)), None)


def target_images(cfgs: list[Config], folder: str | Path | None, count: int) -> tuple[list[str], int]:
    """``count`` evenly spaced images of a folder, or of the target of the first config that has one.

    Returns:
        Their files, and the total number of images.

    Raises:
        UserError: no images; no folder is given and no config has a target.
    """
    if folder is not None:
        paths = sorted(str(Path(folder, name)) for name in images_below(folder))
        if not paths:
            raise UserError(f'{folder} contains no images: pass a folder of target images with --target')
    else:
        target = next((stream for cfg in cfgs if (stream := target_of(cfg)) is not None), None)
        if target is None:
            raise UserError(f'{cfgs[0].filename} has no target: pass the folder of target images with --target')
        stream = build_stream('target', changed(target, lambda part: {**part, 'pipeline': []}))
        paths = [stream[i]['img_path'] for i in spread(len(stream), count)]
        return paths, len(stream)
    return [paths[i] for i in spread(len(paths), count)], len(paths)


def spread(total: int, count: int) -> list[int]:
    """At most ``count`` of ``total`` indices, evenly spaced."""
    return [i * total // min(count, total) for i in range(min(count, total))]


def source_samples(cfg: Config, count: int) -> list[Sample]:
    """Labelled source images as in training, augmented with a fixed seed. Predict them at that size.

    Raises:
        UserError, FileNotFoundError: the source of the config does not exist.
    """
    stream = build_stream(SOURCE, with_pipelines(domains_of(cfg.train_dataloader.dataset))[SOURCE])
    samples = []
    for i in spread(len(stream), count):
        with seeded(derived_seed(i)):
            sample = stream[i]
        labels = sample['data_samples'].gt_sem_seg
        plain = SegDataSample(metainfo=shape_of(labels.data))
        plain.gt_sem_seg = labels
        samples.append(dict(inputs=sample['inputs'], data_samples=plain))
    return samples


def labelled_samples(cfg: Config) -> Iterator[Sample]:
    """The test set of a config, with its labels, one image at a time."""
    dataset = DATASETS.build(dict(cfg.test_dataloader.dataset, _scope_='mmseg'))
    return (dataset[i] for i in range(len(dataset)))


def shape_of(x: Tensor) -> dict:
    """The meta data to predict (…, H, W) at its own size, not mirrored."""
    size = tuple(x.shape[-2:])
    return dict(img_shape=size, ori_shape=size, pad_shape=size, flip=False)
