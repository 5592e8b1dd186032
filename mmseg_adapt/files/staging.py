"""What a tool writes appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UserError


@contextmanager
def staged(out: str | Path, overwrite: bool = False, folder: bool = False) -> Iterator[Path]:
    """A path for a file, or an empty folder, to write to; it becomes ``out`` when the block ends without an error.

    A folder ``out`` that exists stays, as it may be a mount point, and gets other contents.

    Raises:
        UserError: ``out`` exists (an empty folder does not count) without ``overwrite``, is a folder where a file is to
            be written or the reverse, or holds the current folder; its folder is missing or cannot be written to.
    """
    place = Path(out).resolve()
    _check(Path(out), place, overwrite, folder)
    home = place if place.is_dir() else place.parent
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f'.{place.name}.', dir=home))
    except OSError as error:
        raise UserError(f'{home} cannot be written to ({error.strerror}): choose another name for {out}') from error
    new, old = temporary / place.name, temporary / f'{place.name}.old'
    try:
        if folder:
            new.mkdir()
        yield new
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    try:
        if place.is_dir():
            old.mkdir()
            _move(place, old, but=temporary)
            _move(new, place)
        else:
            os.replace(new, place)
    except OSError as error:
        raise UserError(f'{out} cannot be replaced ({error}): what was written lies in {temporary}') from error
    shutil.rmtree(temporary, ignore_errors=True)


def _check(out: Path, place: Path, overwrite: bool, folder: bool) -> None:
    if not place.exists():
        if not place.parent.is_dir():
            raise UserError(f'{place.parent} is no folder: make it first, or choose another name for {out}')
        return
    if place.is_dir() != folder:
        kinds = ('a folder', 'a file') if place.is_dir() else ('a file', 'a folder')
        raise UserError(f'{out} is {kinds[0]}, what is to be written is {kinds[1]}: choose another name')
    if folder and not any(place.iterdir()):
        return
    if not overwrite:
        raise UserError(f'{out} exists: choose another name, or pass --overwrite')
    if Path.cwd().is_relative_to(place):
        raise UserError(f'{out} is or holds the current folder, which --overwrite would empty: choose another name')


def _move(source: Path, target: Path, but: Path | None = None) -> None:
    for child in list(source.iterdir()):
        if child != but:
            child.rename(target / child.name)
