"""What a tool writes appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UserError


@contextmanager
def staged(out: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A path beside ``out`` to write a file or a folder to; it becomes ``out`` when the block ends without an error.

    Raises:
        UserError: ``out`` exists (an empty folder does not count) without ``overwrite``; its folder is missing.
    """
    out = Path(out)
    taken = any(out.iterdir()) if out.is_dir() else out.exists()
    if taken and not overwrite:
        raise UserError(f'{out} exists: choose another name, or pass --overwrite')
    if not out.absolute().parent.is_dir():
        raise UserError(f'{out.absolute().parent} does not exist: make it first, or choose another name for {out.name}')
    temporary = Path(tempfile.mkdtemp(prefix=f'.{out.name}.', dir=out.absolute().parent))
    try:
        yield temporary / out.name
        if out.is_dir():
            shutil.rmtree(out)
        os.replace(temporary / out.name, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
