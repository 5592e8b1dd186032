"""COCO: ``coco.json``, object instances with run-length masks, as read by pycocotools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .labelled import Labelled, dump_rows, is_background, runs


def write_coco(images: list[Labelled], classes: list[str], palette: list[list[int]], out: Path, model: str) -> None:
    """Write ``out/coco.json`` for the label maps in ``out/labels``. A category's id is its class index plus 1."""
    head = dict(
        info=dict(description=f'predicted by {model}, the least confident image first'),
        licenses=[],
        categories=[
            dict(id=i + 1, name=name, supercategory='', color=list(palette[i]))
            for i, name in enumerate(classes)
            if not is_background(name)
        ],
        images=[
            dict(id=i, file_name=image.file, height=image.height, width=image.width, confidence=image.confidence)
            for i, image in enumerate(images, 1)
        ],
    )
    with (out / 'coco.json').open('w', encoding='utf-8') as stream:
        stream.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "annotations": ')
        dump_rows(_annotations(images, classes, out), stream)
        stream.write('}')


def _annotations(images: list[Labelled], classes: list[str], out: Path) -> Iterator[dict]:
    number = 0
    for i, image in enumerate(images, 1):
        labels = image.labels(out)
        for c in image.present(classes):
            number += 1
            mask = labels == c
            yield dict(
                id=number,
                image_id=i,
                category_id=c + 1,
                segmentation=dict(size=[image.height, image.width], counts=counts(mask)),
                area=int(mask.sum()),
                bbox=box(mask),
                iscrowd=0,
                score=image.by_class[c],
            )


def counts(mask: np.ndarray) -> list[int]:
    """COCO's uncompressed run lengths of a (H, W) bool mask: column by column, starting with zeros."""
    values, lengths = runs(mask.ravel(order='F'))
    return ([0] if values[0] else []) + lengths.tolist()


def box(mask: np.ndarray) -> list[int]:
    """x, y, width, height of a non-empty mask."""
    (top, bottom), (left, right) = (np.flatnonzero(mask.any(axis=axis))[[0, -1]] for axis in (1, 0))
    return [int(left), int(top), int(right - left + 1), int(bottom - top + 1)]
