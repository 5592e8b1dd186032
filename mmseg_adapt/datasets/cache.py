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

FORMAT = 2  # of the files; another number is another key
STEPS = ('LoadImage', 'LoadLabels', 'CropBox', 'Resize', 'LoadImageFromFile', 'LoadAnnotations')


@TRANSFORMS.register_module()
class Cached(BaseTransform):
    """The first steps of a pipeline, computed once per image and read back from ``folder`` ever after::

        pipeline = [
            dict(type='Cached', folder='data/cache', transforms=[dict(type='LoadImage'), …, dict(type='Resize', …)]),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackSegInputs'),
        ]

    One file per image (and label), found by what it is made of: the paths, sizes and times of change of the files, the
    settings of the steps, and the dataset's id map. A file that changes is read anew; what was kept of the old one
    stays until the folder is deleted. Pixels are equal with and without.

    Any number of workers, ranks and runs may share a folder: a file is written under another name, then renamed. What
    does not read back whole (a crash of the machine, a full disk) is made anew. A folder that cannot be written costs
    the gain in speed and a log line, not the run.

    Args:
        folder: made if it is missing. It needs width × height × 3 bytes per image (× 4 per band
            where it is not of 8 bits and three bands), and × 1 per label.
        transforms: steps without randomness: loading, ``CropBox``, ``Resize``.

    Raises:
        UserError: a step that may not give the same result twice; a place that is not the first.
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
        """Name in ``folder`` of the file that holds what the steps make of ``results``."""
        parts = [FORMAT, self.settings]
        for key in ('img_path', 'seg_map_path'):
            if (path := results.get(key)) is not None and osp.exists(path):  # the step names a file that is missing
                stat = os.stat(path)
                parts += [osp.abspath(path), stat.st_size, stat.st_mtime_ns]
        for key in ('label_lut', 'label_channel', 'label_map', 'reduce_zero_label'):
            value = results.get(key)
            parts.append(value.tobytes() if isinstance(value, np.ndarray) else value)
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()
        return f'{digest[:2]}/{digest[2:40]}.npz'

    @staticmethod
    def _read(path: str) -> dict | None:
        """What :meth:`_write` wrote, checked by the archive's checksums; None where there is no whole file."""
        try:
            with open(path, 'rb') as file, np.load(file) as content:  # np.load leaves a broken file open
                arrays = {key: content[key] for key in content.files}
            return {**ast.literal_eval(arrays.pop('rest').item()), **arrays}
        except FileNotFoundError:
            return None
        except Exception:  # a flipped bit may raise anything that zipfile, zlib and NumPy do
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
    """The pipeline with its first steps, as far as they can be kept, in a :class:`Cached`."""
    kept = list(takewhile(lambda step: step['type'] in STEPS, pipeline))
    return [dict(type='Cached', folder=folder, transforms=kept), *pipeline[len(kept) :]] if kept else pipeline


def cache_training(cfg: dict, folder: str) -> None:
    """Change the pipelines of ``cfg.train_dataloader.dataset``, of every stream where there are several."""
    for stream in domains_of(cfg['train_dataloader']['dataset']).values():
        for _, part in parts(stream):
            if 'pipeline' in part:  # a target without one has the source's
                part['pipeline'] = cached(part['pipeline'], folder)
