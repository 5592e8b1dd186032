"""CVAT's "Segmentation mask 1.1": ``cvat.zip``, colour masks with a colour table, as in Pascal VOC."""

from __future__ import annotations

import json
from io import BytesIO
from itertools import count
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from PIL import Image

from ..errors import UserError
from ..pictures import colour_map
from .labelled import Labelled, is_background

BLACK = (0, 0, 0)  # no annotation


def write_cvat(images: list[Labelled], classes: list[str], palette: list[list[int]], out: Path, model: str) -> None:
    """Write ``out/cvat.zip`` for the label maps in ``out/labels``, and ``out/cvat_labels.json``.

    Paste the latter into a task's label constructor under "Raw". A mask is one object per class.

    Raises:
        UserError: the name of a class is not allowed in the colour table.
    """
    colours = colours_of(classes, palette)
    objects = [voc_colour(i + 1) if colours[i] != BLACK else BLACK for i in range(len(classes))]
    labels = [
        dict(name=name, color='#{:02x}{:02x}{:02x}'.format(*colour), attributes=[])
        for name, colour in zip(classes, colours)
        if colour != BLACK
    ]
    (out / 'cvat_labels.json').write_text(json.dumps(labels, indent=1, ensure_ascii=False), encoding='utf-8')
    with ZipFile(out / 'cvat.zip', 'w') as archive:
        archive.writestr('labelmap.txt', labelmap(classes, colours))
        archive.writestr('ImageSets/Segmentation/default.txt', ''.join(f'{image.name}\n' for image in images))
        for image in images:
            found = image.labels(out)
            for folder, table in (('SegmentationClass', colours), ('SegmentationObject', objects)):
                archive.writestr(f'{folder}/{image.name}.png', _png(colour_map(found, table)))


def labelmap(classes: list[str], colours: list[tuple[int, ...]]) -> str:
    """``name:r,g,b::`` per line, the background first."""
    if wrong := [name for name in classes if ':' in name or name.startswith('#') or name != ' '.join(name.split())]:
        raise UserError(
            f"class {wrong[0]!r}: CVAT's labelmap.txt cannot contain this name; in metainfo.classes of the config, "
            'choose a name without colons, leading # and double spaces'
        )
    named = [(name, colour) for name, colour in zip(classes, colours) if colour != BLACK]
    rows = [f'{name}:{",".join(map(str, colour))}::\n' for name, colour in [('background', BLACK), *named]]
    return '# label:color_rgb:parts:actions\n' + ''.join(rows)


def colours_of(classes: list[str], palette: list[list[int]]) -> list[tuple[int, ...]]:
    """The palette, with black only for a background and no colour twice, because colours identify the classes."""
    taken: set[tuple[int, ...]] = {BLACK}
    colours: list[tuple[int, ...]] = []
    spare = (colour for colour in map(voc_colour, count(1)) if colour not in {tuple(row) for row in palette})
    for name, row in zip(classes, palette):
        colour = BLACK if is_background(name) else tuple(row)
        if colour in taken and not is_background(name):
            colour = next(colour for colour in spare if colour not in taken)
        taken.add(colour)
        colours.append(colour)
    return colours


def voc_colour(index: int) -> tuple[int, ...]:
    """Pascal VOC's colour of an index: its bits, three at a time, fill red, green and blue from the highest bit on."""
    colour = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            colour[channel] |= (index >> (3 * place + channel) & 1) << (7 - place)
    return tuple(colour)


def _png(picture: np.ndarray) -> bytes:
    stream = BytesIO()
    Image.fromarray(picture).save(stream, 'png')
    return stream.getvalue()
