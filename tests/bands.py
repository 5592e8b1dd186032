"""Image files of any number of bits and bands, written byte by byte: what the readers are measured with."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np


def write_tiff(path: Path, image: np.ndarray, apart: bool = False, extra: int = 0) -> None:
    """(H, W, C) as an uncompressed TIFF; ``apart``: band by band; ``extra``: what the bands beyond three are."""
    height, width, count = image.shape
    kind = {'u': 1, 'i': 2, 'f': 3}[image.dtype.kind]
    data = np.ascontiguousarray(image.transpose(2, 0, 1) if apart else image).tobytes()
    strips = count if apart else 1
    size = len(data) // strips
    colour = 2 if count >= 3 else 1
    tags = {256: [width], 257: [height], 258: [8 * image.itemsize] * count, 259: [1], 262: [colour], 273: [0] * strips}
    tags |= {277: [count], 278: [height], 279: [size] * strips, 284: [2 if apart else 1]}
    if count > 3:
        tags[338] = [extra] * (count - 3)
    tags[339] = [kind] * count
    end = 8 + 2 + 12 * len(tags) + 4
    start = end + sum(4 * len(values) for values in tags.values() if len(values) > 1)
    tags[273] = [start + i * size for i in range(strips)]
    entries, far = b'', b''
    for tag, values in tags.items():
        packed = struct.pack(f'<{len(values)}I', *values)
        entries += struct.pack('<HHI', tag, 4, len(values))
        entries += packed if len(values) == 1 else struct.pack('<I', end + len(far))
        far += packed if len(values) > 1 else b''
    head = b'II*\0' + struct.pack('<IH', 8, len(tags))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + entries + bytes(4) + far + data)


def write_png16(path: Path, image: np.ndarray) -> None:
    """(H, W, C) uint16 as PNG: grey, grey with transparency, colours, colours with transparency."""
    height, width, count = image.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[count]
    rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in image)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

    head = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 16, colour, 0, 0, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + head + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))
