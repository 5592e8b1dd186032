"""TIFF files with any number of bands. OpenCV decodes them; files that it would misread are presented as one band.

OpenCV 5 mixes up the pixels of images stored band by band and reads two bands as one, both silently; it cannot read
five or more bands. The bytes of such a file equal those of a one-band image, C times as wide or one of C planes, which
OpenCV reads in every compression. (Pillow reads 16-bit colours as 8 bits and drops the bands after the third.)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np

WIDTH, HEIGHT, BITS, PHOTOMETRIC, SAMPLES, PLANAR, PREDICTOR = 256, 257, 258, 262, 277, 284, 317
OFFSETS, SIZES, TILE_WIDTH, TILE_OFFSETS, TILE_SIZES, EXTRA, FORMAT = 273, 279, 322, 324, 325, 338, 339
COMPRESSION, JPEG = 259, 7
NEEDED = (*range(256, 320), *range(322, 326), EXTRA, FORMAT)  # for decoding: tags with integer values
CODES = {1: 'B', 2: 'B', 3: 'H', 4: 'I', 6: 'b', 7: 'B', 8: 'h', 9: 'i', 16: 'Q', 17: 'q', 18: 'Q'}
ALPHA = (1, 2)  # values of EXTRA that mean transparency


def is_tiff(data: bytes) -> bool:
    return data[:4] in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')


@dataclass
class Tiff:
    """The first image of a file: its bytes and its tags, number → values."""

    data: bytes
    tags: dict[int, tuple[int, ...]]

    @classmethod
    def parse(cls, data: bytes) -> Tiff:
        """Raises: ValueError, struct.error: the file is truncated or is not a TIFF."""
        order, big = ('<' if data[:2] == b'II' else '>'), data[2:4] in (b'+\0', b'\0+')
        offset, count, size = ('Q', 'Q', 20) if big else ('I', 'H', 12)
        (start,) = struct.unpack_from(order + offset, data, 8 if big else 4)
        (entries,) = struct.unpack_from(order + count, data, start)
        tags = {}
        for i in range(entries):
            place = start + struct.calcsize(order + count) + i * size
            tag, kind, n = struct.unpack_from(f'{order}HH{offset}', data, place)
            if kind not in CODES:
                continue
            form, at = f'{order}{n}{CODES[kind]}', place + (12 if big else 8)
            if struct.calcsize(form) > size - (12 if big else 8):
                (at,) = struct.unpack_from(order + offset, data, at)
            tags[tag] = struct.unpack_from(form, data, at)
        tiff = cls(data, tags)
        if tiff.ends > len(data):
            raise ValueError('the file is truncated')
        return tiff

    def first(self, tag: int, default: int = 1) -> int:
        return self.tags.get(tag, (default,))[0]

    @property
    def bands(self) -> int:
        return self.first(SAMPLES)

    @property
    def plain(self) -> bool:
        """Whether Pillow reads it completely: 8 bits (or fewer), and one or three bands."""
        bits, formats = self.tags.get(BITS, (1,)), self.tags.get(FORMAT, (1,))
        return self.bands in (1, 3) and max(bits) <= 8 and set(formats) == {1}

    @property
    def alpha(self) -> bool:
        """Whether the last band is transparency."""
        return self.tags.get(EXTRA, (0,))[-1] in ALPHA

    @property
    def ends(self) -> int:
        """The number of bytes that the file must have."""
        places = self.tags.get(OFFSETS) or self.tags.get(TILE_OFFSETS) or ()
        return max(map(sum, zip(places, self.tags.get(SIZES) or self.tags.get(TILE_SIZES) or ())), default=0)

    def read(self) -> np.ndarray:
        """(H, W, bands) as stored. Raises: ValueError: the compression is not supported."""
        if self.bands == 1:
            return _decoded(self._bare())[..., None]
        if self.first(PLANAR) == 2:
            return np.stack([_decoded(self._plane(i)) for i in range(self.bands)], axis=-1)
        if self.first(PREDICTOR) == 3 or self.first(COMPRESSION) == JPEG:  # these depend on the bands
            if self.bands not in (3, 4):
                raise ValueError(f'it compresses {self.bands} bands together: store them separately')
            return _decoded(self._bare())[..., [2, 1, 0, 3][: self.bands]]
        flat = _decoded(self._flat()).reshape(self.first(HEIGHT), self.first(WIDTH), self.bands)
        if self.first(PREDICTOR) == 2:  # pixels are stored as differences from the previous one, tile by tile
            step = self.first(TILE_WIDTH, self.first(WIDTH))
            parts = [flat[:, x : x + step] for x in range(0, flat.shape[1], step)]
            flat = np.concatenate([np.cumsum(part, axis=1, dtype=flat.dtype) for part in parts], axis=1)
        return flat

    def _plane(self, index: int) -> bytes:
        """The file with only one of its separately stored bands."""
        parts = {}
        for tag in (OFFSETS, SIZES, TILE_OFFSETS, TILE_SIZES):
            if values := self.tags.get(tag):
                n = len(values) // self.bands
                parts[tag] = values[index * n : (index + 1) * n]
        return self._with(parts)

    def _flat(self) -> bytes:
        """The file with the bands side by side: a pixel's C values become C pixels."""
        wide: dict[int, tuple[int, ...]] = {
            tag: (self.tags[tag][0] * self.bands,) for tag in (WIDTH, TILE_WIDTH) if tag in self.tags
        }
        return self._with(wide, but=(PREDICTOR,))

    def _bare(self) -> bytes:
        """The file without tags that OpenCV does not know: it would warn about each of them in a GeoTIFF."""
        if self.first(COMPRESSION) == JPEG:  # its tables are not only numbers
            return self.data
        colours = {PHOTOMETRIC: (2,)} if self.bands > 1 else {}  # grey with several bands would be read as one
        return self._written({**{tag: v for tag, v in self.tags.items() if tag in NEEDED}, **colours})

    def _with(self, changes: dict[int, tuple[int, ...]], but: tuple[int, ...] = (EXTRA,)) -> bytes:
        """The file as an image with one band."""
        single = {BITS: self.tags[BITS][:1], FORMAT: self.tags.get(FORMAT, (1,))[:1], SAMPLES: (1,)}
        keep = {tag: v for tag, v in self.tags.items() if tag in NEEDED and tag not in (EXTRA, *but)}
        return self._written({**keep, **single, PLANAR: (1,), PHOTOMETRIC: (1,), **changes})

    def _written(self, tags: dict[int, tuple[int, ...]]) -> bytes:
        """The file with these tags, appended at its end."""
        order = '<' if self.data[:2] == b'II' else '>'
        start = len(self.data) + len(self.data) % 2
        far, entries = b'', b''
        end = start + 2 + 12 * len(tags) + 4
        for tag, values in sorted(tags.items()):
            packed = struct.pack(f'{order}{len(values)}I', *values)
            place = packed if len(packed) == 4 else struct.pack(order + 'I', end + len(far))
            far += b'' if len(packed) == 4 else packed
            entries += struct.pack(order + 'HHI', tag, 4, len(values)) + place
        head = self.data[:2] + struct.pack(order + 'HI', 42, start)
        directory = struct.pack(order + 'H', len(tags)) + entries + bytes(4) + far
        return head + self.data[8:].ljust(start - 8, b'\0') + directory


def _decoded(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError('not a complete image, or a format that OpenCV cannot read')
    return image
