"""Pixels of each class in every label image: counted once and saved, or read from the released code's files."""

from __future__ import annotations

import hashlib
import io
import json
import os
import os.path as osp
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dist import all_gather_object, broadcast_object_list, get_dist_info
from mmengine.logging import print_log
from mmengine.utils import ProgressBar
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from ..errors import UserError
from ..files.whole import write_whole
from ..random_state import kept_random_state
from .cache import Cached
from .transforms import CropBox, LoadLabels

FORMAT = 1  # version of the saved files; a new number changes the fingerprint
STATS, LISTS = 'sample_class_stats.json', 'samples_with_class.json'  # files of the released code
WORKERS, WORTH_WORKERS = 4, 500  # number of processes, and the number of labels above which they pay off


def class_pixels(dataset: Any, folder: str | None = None) -> np.ndarray:
    """Pixels of every class in every label of ``dataset``, (images, classes) int64, at the label file's own resolution.

    The data set's own steps read the labels (``LoadLabels`` or ``LoadAnnotations``, including id maps, and
    ``CropBox``), before any resizing or random cropping. No image is decoded. It looks inside ``ConcatDataset`` and
    ``RepeatDataset`` and counts each data set once. Each rank counts a part.

    Args:
        dataset: a data set with ``metainfo['classes']`` and labels.
        folder: where counts are saved, by default ``mmseg_adapt/class_statistics`` in the user's cache. A file's name
            is a fingerprint of the labels' names, sizes and modification times, the id map, and the classes: after
            a change, the labels are counted again. If the folder cannot be written, a line is logged. If it contains
            the released code's ``sample_class_stats.json`` or ``samples_with_class.json``, that file is read instead.

    Raises:
        UserError: If the data set has no classes or no step that loads labels, if a label cannot be read, or if the
            released code's files belong to another data set.
    """
    if (several := getattr(dataset, 'datasets', None)) is not None:
        return np.concatenate([class_pixels(part, folder) for part in several])
    if (wrapped := getattr(dataset, 'dataset', None)) is not None:
        pixels = class_pixels(wrapped, folder)
        return np.concatenate([pixels] * (len(dataset) // len(pixels)))
    classes = list(dataset.metainfo.get('classes') or ())
    if not classes:
        raise UserError(f'{type(dataset).__name__} has no classes: set metainfo.classes')
    if folder and (files := [osp.join(folder, n) for n in (STATS, LISTS) if osp.exists(osp.join(folder, n))]):
        return released_pixels(files, [info['seg_map_path'] for info in _infos(dataset)], len(classes))
    return _counted_once(dataset, classes, folder or _user_cache())


def _user_cache() -> str:
    return osp.join(os.environ.get('XDG_CACHE_HOME') or osp.expanduser('~/.cache'), 'mmseg_adapt', 'class_statistics')


def _infos(dataset: Any) -> Iterable[dict]:
    return (dataset.get_data_info(i) for i in range(len(dataset)))


def _counted_once(dataset: Any, classes: list[str], folder: str) -> np.ndarray:
    """Read the saved counts, if rank 0 finds any; else count on all ranks and save."""
    rank, world_size = get_dist_info()
    labels = LabelPixels(dataset, len(classes))
    name = f'{_fingerprint(dataset, labels.steps, classes)}.npz' if rank == 0 else ''
    kept = [_read(Path(folder, name), len(labels)) if rank == 0 else None]
    broadcast_object_list(kept)
    if kept[0] is not None:
        return kept[0]
    pixels = np.empty((len(labels), len(classes)), np.int64)
    for start, part in enumerate(all_gather_object(_count(labels, rank, world_size))):
        pixels[start::world_size] = part
    if rank == 0:
        _keep(folder, name, pixels, classes)
    return pixels


class LabelPixels(Dataset):
    """Item i is the number of pixels of each class in label i, (classes,) int64."""

    def __init__(self, dataset: Any, classes: int) -> None:
        self.dataset, self.classes = dataset, classes
        self.steps = [step for step in _flat(dataset.pipeline.transforms) if isinstance(step, COUNTED)]
        if not any(isinstance(step, (LoadAnnotations, LoadLabels)) for step in self.steps):
            raise UserError(
                f'{type(dataset).__name__}.pipeline does not load labels, so classes cannot be counted: add LoadLabels '
                'or LoadAnnotations'
            )

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> np.ndarray:
        results = self.dataset.get_data_info(index)
        if any(isinstance(step, (CropBox, LoadLabels)) for step in self.steps):  # they check the image size
            results['ori_shape'] = results['img_shape'] = shape = _image_shape(results['img_path'])
            results['img'] = np.broadcast_to(np.uint8(0), shape)
        for step in self.steps:
            results = step(results)
        return np.bincount(results['gt_seg_map'].ravel(), minlength=256)[: self.classes]


COUNTED = (LoadAnnotations, LoadLabels, CropBox)


def _flat(steps: Iterable[BaseTransform]) -> list[BaseTransform]:
    return [s for step in steps for s in (step.steps.transforms if isinstance(step, Cached) else [step])]


def _image_shape(path: str) -> tuple[int, int]:
    """(height, width) from the file's header."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error}): restore the file or remove it') from error


def _count(labels: LabelPixels, rank: int, world_size: int) -> np.ndarray:
    """The counts of labels rank, rank + world_size, …"""
    mine = range(rank, len(labels), world_size)
    print_log(f'counting the classes in {len(labels)} labels, once', 'current')
    workers = min(WORKERS, os.cpu_count() or 1) if len(mine) >= WORTH_WORKERS else 0
    bar = ProgressBar(len(mine)) if rank == 0 else None
    rows = []
    with kept_random_state():  # PyTorch draws the workers' seeds
        for (row,) in DataLoader(labels, 1, sampler=mine, num_workers=workers, collate_fn=tuple):
            rows.append(row)
            if bar:
                bar.update()
    if bar:
        print()  # the progress bar ends without a newline
    return np.stack(rows) if rows else np.empty((0, labels.classes), np.int64)


def _fingerprint(dataset: Any, steps: list[BaseTransform], classes: list[str]) -> str:
    digest = hashlib.sha256()
    digest.update(
        repr((FORMAT, classes, [(type(step).__name__, sorted(vars(step).items())) for step in steps])).encode()
    )
    for info in _infos(dataset):
        stat = os.stat(info['seg_map_path'])
        lut = info.get('label_lut')
        digest.update(
            repr(
                (
                    *(osp.abspath(info['seg_map_path']), stat.st_size, stat.st_mtime_ns),
                    *(None if lut is None else lut.tobytes(), info.get('label_channel')),
                    *(info.get('label_map'), info.get('reduce_zero_label')),
                )
            ).encode()
        )
    return digest.hexdigest()[:40]


def _read(path: Path, images: int) -> np.ndarray | None:
    try:
        with path.open('rb') as file, np.load(file) as content:  # np.load leaves a broken file open
            pixels = content['pixels']
        return pixels if len(pixels) == images else None
    except FileNotFoundError:
        return None
    except Exception:  # a damaged file may raise any error of zipfile, zlib and NumPy
        print_log(f'{path} is damaged: counting its classes again', 'current')
        return None


def _keep(folder: str, name: str, pixels: np.ndarray, classes: list[str]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, pixels=pixels, classes=classes)
    try:
        write_whole(folder, name, buffer.getvalue())
    except OSError as error:
        print_log(f'{folder} cannot be written ({error}): the next run will count the classes again', 'current')


def released_pixels(files: list[str], labels: list[str], classes: int) -> np.ndarray:
    """The counts that the released code (Hoyer et al., "DAFormer") wrote with its labels, (images, classes) int64.

    Args:
        files: ``sample_class_stats.json`` (``[{class: pixels, …, 'file': path}, …]``), ``samples_with_class.json``
            (``{class: [[path, pixels], …]}``), or both.
        labels: the data set's label files, matched by their names without ``_labelTrainIds`` or ``_labelIds``.

    Raises:
        UserError: If a label is not listed, two labels have the same name, a class is beyond ``classes``, or the files
            disagree.
    """
    tables = [_table(path) for path in files]
    if len(tables) == 2 and tables[0] != tables[1]:
        raise UserError(f'{files[0]} and {files[1]} differ: convert the labels again, or remove one of them')
    names = [_stem(path) for path in labels]
    if twice := [name for name, number in Counter(names).items() if number > 1]:
        raise UserError(f'{files[0]} lists labels by name, but two have the name {twice[0]}: set statistics=None')
    pixels = np.zeros((len(labels), classes), np.int64)
    for row, name, path in zip(pixels, names, labels):
        if name not in tables[0]:
            raise UserError(
                f'{files[0]} does not list {path}, so it belongs to another data set: set statistics to the folder of '
                'this one, or to None to count the classes'
            )
        for key, number in tables[0][name].items():
            if not 0 <= key < classes:
                raise UserError(
                    f'{files[0]} lists the class {key}, but the data set has {classes} classes: set statistics=None'
                )
            row[key] = number
    return pixels


def _table(path: str) -> dict[str, dict[int, int]]:
    """Label name → class → pixels."""
    table: dict[str, dict[int, int]] = {}
    try:
        content = json.loads(Path(path).read_text())
        if isinstance(content, list):
            for entry in content:
                counts = {int(key): int(number) for key, number in entry.items() if key != 'file'}
                table[_stem(entry['file'])] = counts
        else:
            for key, entries in content.items():
                for file, number in entries:
                    table.setdefault(_stem(file), {})[int(key)] = int(number)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f'{path} does not contain class statistics ({error}): remove it or convert again') from error
    return table


def _stem(path: str) -> str:
    return Path(path).stem.removesuffix('_labelTrainIds').removesuffix('_labelIds')
