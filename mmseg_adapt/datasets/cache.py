"""Decoded, resized images and labels kept on disk, so that later passes skip the decoding."""

from __future__ import annotations

import ast
import hashlib
import io
import os
import os.path as osp
from itertools import takewhile

import numpy as np
from mmcv.transforms import BaseTransform, Compose
from mmengine.logging import print_log
from mmseg.registry import TRANSFORMS

from ..errors import UserError
from ..files.whole import remove_dead_parts, write_whole
from .streams import domains_of, parts

FORMAT = 2  # version of the files; a new number changes the keys
STEPS = ('LoadImage', 'LoadLabels', 'CropBox', 'Resize', 'LoadImageFromFile', 'LoadAnnotations')


@TRANSFORMS.register_module()
class Cached(BaseTransform):
    """The first steps of a pipeline, computed once per image and then read from ``folder``::

        pipeline = [
            dict(type='Cached', folder='data/cache', transforms=[dict(type='LoadImage'), …, dict(type='Resize', …)]),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackSegInputs'),
        ]

    There is one file per image (and label). Its name depends on what it is made of: the paths, sizes and modification
    times of the files, the settings of the steps, and the dataset's id map. If a file changes, it is read again; the
    old cache file stays until the folder is deleted. Pixels are the same with and without the cache.

    Any number of workers, ranks and runs may share a folder: a file is written under a temporary name, then renamed. A
    file that is damaged (by a crash of the machine or a full disk) is created again. If the folder cannot be written,
    the run only loses speed and logs a line.

    Args:
        folder: created if it is missing. It needs width × height × 3 bytes per image (× 4 per band
            unless it has 8 bits and three bands), and × 1 per label.
        transforms: steps without randomness: loading, ``CropBox``, ``Resize``.

    Raises:
        UserError: If a step may not give the same result twice, or the cache is not the first step of the pipeline.
    """

    def __init__(self, folder: str, transforms: list[dict]) -> None:
        if other := [step['type'] for step in transforms if step['type'] not in STEPS]:
            raise UserError(f'Cached can keep {", ".join(STEPS)}, but not {other[0]}: move it after Cached')
        self.folder = folder
        self.settings = repr([dict(step) for step in transforms])
        self.steps = Compose(transforms)
        self.writable = True
        remove_dead_parts(folder)

    def transform(self, results: dict) -> dict:
        if 'img' in results or results.get('seg_fields'):
            raise UserError('Cached must be the first step of its pipeline, because it loads the image: move it there')
        name = self._key(results)
        made = self._read(osp.join(self.folder, name))
        if made is None:
            made = self.steps({**results, 'seg_fields': []})
            made = {key: value for key, value in made.items() if key not in results or key == 'seg_fields'}
            self._write(name, made)
        return {**results, **made}

    def _key(self, results: dict) -> str:
        """The name in ``folder`` of the file that holds the result of the steps for ``results``."""
        parts = [FORMAT, self.settings]
        for key in ('img_path', 'seg_map_path'):
            if (path := results.get(key)) is not None and osp.exists(path):  # the step reports a missing file
                stat = os.stat(path)
                parts += [osp.abspath(path), stat.st_size, stat.st_mtime_ns]
        for key in ('label_lut', 'label_channel', 'label_map', 'reduce_zero_label'):
            value = results.get(key)
            parts.append(value.tobytes() if isinstance(value, np.ndarray) else value)
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()
        return f'{digest[:2]}/{digest[2:40]}.npz'

    @staticmethod
    def _read(path: str) -> dict | None:
        """Read what :meth:`_write` wrote and verify the archive's checksums; None if there is no intact file."""
        try:
            with open(path, 'rb') as file, np.load(file) as content:  # np.load leaves a broken file open
                arrays = {key: content[key] for key in content.files}
            return {**ast.literal_eval(arrays.pop('rest').item()), **arrays}
        except FileNotFoundError:
            return None
        except Exception:  # a flipped bit may raise any error of zipfile, zlib and NumPy
            print_log(f'{path} is damaged: writing it again', 'current')
            return None

    def _write(self, name: str, made: dict) -> None:
        if not self.writable:
            return
        arrays = {key: value for key, value in made.items() if isinstance(value, np.ndarray)}
        rest = repr({key: value for key, value in made.items() if key not in arrays})
        buffer = io.BytesIO()
        np.savez(buffer, rest=rest, **arrays)
        try:
            write_whole(self.folder, name, buffer.getvalue())
        except OSError as error:
            self.writable = False
            print_log(f'{self.folder} cannot be written ({error}): no more images are cached', 'current')


def cached(pipeline: list[dict], folder: str) -> list[dict]:
    """The pipeline with all cacheable first steps moved into a :class:`Cached`."""
    kept = list(takewhile(lambda step: step['type'] in STEPS, pipeline))
    return [dict(type='Cached', folder=folder, transforms=kept), *pipeline[len(kept) :]] if kept else pipeline


def cache_training(cfg: dict, folder: str) -> None:
    """Cache the pipeline of ``cfg.train_dataloader.dataset``, or of each of its streams."""
    for stream in domains_of(cfg['train_dataloader']['dataset']).values():
        for _, part in parts(stream):
            if 'pipeline' in part:  # a target without one uses the source's
                part['pipeline'] = cached(part['pipeline'], folder)
