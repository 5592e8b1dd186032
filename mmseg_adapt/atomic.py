"""Files that many processes may write: each appears whole or not at all."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

PART = '.part-'
DEAD = 3600  # seconds: no write takes that long


def write_whole(folder: str | Path, name: str, data: bytes, keep: bool = False) -> None:
    """Write ``folder/name``, with ``keep`` only where it does not exist yet. Its part lies right in ``folder``."""
    path, part = Path(folder, name), Path(folder, f'{PART}{uuid4().hex}')
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        part.write_bytes(data)
        if not keep:
            os.replace(part, path)
            return
        try:
            os.link(part, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            if not path.exists():
                os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def remove_dead_parts(folder: str | Path) -> None:
    """What killed processes left, of whatever machine: known by its age, as process ids repeat across containers."""
    for part in Path(folder).glob(f'{PART}*'):
        with suppress(OSError):  # another process was here, or it is another user's
            if time.time() - part.stat().st_mtime > DEAD:
                part.unlink()
