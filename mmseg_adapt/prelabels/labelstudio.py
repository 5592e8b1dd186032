"""Label Studio: ``labelstudio.json``, tasks with one prediction each; the regions are brush masks.

A mask is packed in the tool's own "rle": a header of 53 bits, then runs of bytes. Every pixel has four bytes, red,
green, blue and alpha, all 255 inside the mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from .labelled import Labelled, dump_rows, is_background, runs

BRUSH, IMAGE = 'brush', 'image'  # the names of the tags in the labelling interface
LOCAL = '/data/local-files/?d='  # files that Label Studio serves from its own disk
SIZES = (3, 4, 8, 16)  # possible numbers of bits for the length of a run
WORD = 8  # bits of a value


def write_labelstudio(
    images: list[Labelled], classes: list[str], palette: list[list[int]], out: Path, model: str, url: str = LOCAL
) -> None:
    """Write ``out/labelstudio.json`` for the label maps in ``out/labels``, and ``out/labelstudio.xml``.

    The latter is the project's labelling interface.

    Args:
        url: prefix of the file name in the address of an image.
    """
    rows = [
        f'    <Label value={quoteattr(name)} background="#{bytes(palette[i]).hex()}"/>\n'
        for i, name in enumerate(classes)
        if not is_background(name)
    ]
    (out / 'labelstudio.xml').write_text(
        f'<View>\n  <Image name="{IMAGE}" value="$image" zoom="true"/>\n'
        f'  <BrushLabels name="{BRUSH}" toName="{IMAGE}">\n{"".join(rows)}  </BrushLabels>\n</View>\n',
        encoding='utf-8',
    )
    with (out / 'labelstudio.json').open('w', encoding='utf-8') as stream:
        dump_rows((_task(image, classes, out, model, url) for image in images), stream)


def _task(image: Labelled, classes: list[str], out: Path, model: str, url: str) -> dict:
    regions = list(_regions(image, classes, out))
    prediction = dict(model_version=model, score=image.confidence, result=regions)
    return dict(data=dict(image=url + quote(image.file)), predictions=[prediction])


def _regions(image: Labelled, classes: list[str], out: Path) -> Iterator[dict]:
    labels = image.labels(out)
    for c in image.present(classes):
        yield dict(
            id=f'class{c}',
            type='brushlabels',
            from_name=BRUSH,
            to_name=IMAGE,
            original_width=image.width,
            original_height=image.height,
            image_rotation=0,
            score=image.by_class[c],
            value=dict(format='rle', rle=brush_rle(labels == c), brushlabels=[classes[c]]),
        )


def brush_rle(mask: np.ndarray) -> list[int]:
    """The bytes that encode a (H, W) bool mask."""
    values, lengths = _pieces(*runs(mask.ravel()))
    choice = np.searchsorted([2**size for size in SIZES], lengths)  # the shortest field that holds length − 1
    head = _bits([4 * mask.size], 32), _bits([WORD - 1], 5), _bits([size - 1 for size in SIZES], 4)
    fields = np.array([3 + size + WORD for size in SIZES])[choice]
    starts = np.cumsum(fields) - fields
    body = np.zeros(fields.sum(), np.uint8)
    for i, size in enumerate(SIZES):
        mine = choice == i
        run = np.column_stack(  # 1 (a run, not single values), index of the field, length − 1, value
            [
                np.ones((mine.sum(), 1), np.uint8),
                _bits(np.full(mine.sum(), i), 2).reshape(-1, 2),
                _bits(lengths[mine] - 1, size).reshape(-1, size),
                _bits(values[mine] * 255, WORD).reshape(-1, WORD),
            ]
        )
        body[starts[mine, None] + np.arange(run.shape[1])] = run
    return np.packbits(np.concatenate([*head, body])).tolist()


def _pieces(values: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of bytes: four per pixel, and none longer than the largest field allows."""
    longest, lengths = 2 ** SIZES[-1], 4 * lengths
    parts = -(-lengths // longest)
    pieces = np.full(parts.sum(), longest)
    last = np.cumsum(parts) - 1
    pieces[last] = lengths - longest * (parts - 1)
    return np.repeat(values, parts).astype(np.int64), pieces


def _bits(numbers: np.ndarray | list[int], size: int) -> np.ndarray:
    """The numbers as one row of bits, ``size`` bits each, highest first."""
    numbers = np.asarray(numbers, np.int64)
    return (numbers[:, None] >> np.arange(size)[::-1] & 1).astype(np.uint8).ravel()
