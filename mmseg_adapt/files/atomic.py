"""Files that many processes may write: each appears whole or not at all."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from socket import gethostname
from uuid import uuid4

PART = '.part-'
DEAD = 3600  # seconds: no write takes that long


def _place() -> str:
    """Where a process number means one process: this machine and, of its containers, this one."""
    with suppress(OSError):
        return re.sub(r'\W', '_', f'{gethostname()}_{os.readlink("/proc/self/ns/pid")}')
    return re.sub(r'\W', '_', gethostname())


def write_whole(folder: str | Path, name: str, data: bytes, keep: bool = False) -> None:
    """Write ``folder/name``, with ``keep`` only where it does not exist yet. Its part lies right in ``folder``."""
    path, part = Path(folder, name), Path(folder, f'{PART}{_place()}-{os.getpid()}-{uuid4().hex}')
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
    """What killed processes left: of this machine at once, of others after an hour."""
    for part in Path(folder).glob(f'{PART}*'):
        place, _, rest = part.name.removeprefix(PART).partition('-')
        number = rest.partition('-')[0]
        with suppress(OSError):  # another process was faster, or it is another user's
            here = place == _place() and number.isdigit()
            if not _is_alive(int(number)) if here else time.time() - part.stat().st_mtime > DEAD:
                part.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
