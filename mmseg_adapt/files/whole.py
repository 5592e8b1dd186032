"""Atomic writes: a file or folder gets its name only when it is complete, even if the process dies.

There is one mechanism: write in a hidden folder on the same disk (a part), flush, and move to the final name.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import gethostname
from uuid import uuid4

from mmengine.fileio import LocalBackend, register_backend

from ..errors import UserError

PART, OLD = '.part-', 'replaced'  # a part with OLD in it has files being moved: never remove it
WRITTEN = '.mmseg_adapt.json'  # in a folder written by a tool: the names of its files
DEAD = 24 * 3600  # seconds: no tool leaves a part untouched for so long


def write_whole(folder: str | Path, name: str, data: bytes, keep: bool = False) -> None:
    """Write ``folder/name``, with ``keep`` only if it does not exist yet. The part is directly in ``folder``."""
    path = Path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _part(Path(folder)) as part:
        new = part / path.name
        new.write_bytes(data)
        _flush(new)
        try:
            os.link(new, path) if keep else os.replace(new, path)
        except OSError:  # with keep: it exists, or the file system has no links
            if not keep:
                raise
            if not path.exists():
                os.replace(new, path)
        _flush(path.parent)


class AtomicBackend(LocalBackend):
    """Writes mmengine's files atomically. Config: ``checkpoint=dict(backend_args=dict(backend='AtomicBackend'))``."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        path = Path(filepath)
        remove_dead_parts(path.parent)
        write_whole(path.parent, path.name, obj)


register_backend('AtomicBackend', AtomicBackend, force=True)


@contextmanager
def staged(out: str | Path, overwrite: bool = False, folder: bool = False) -> Iterator[Path]:
    """A path to write a file to, or an empty folder. It becomes ``out`` when the block ends without an error.

    An existing folder ``out`` is kept, because it may be a mount point. In it, ``overwrite`` replaces the files that an
    earlier call wrote (listed in :data:`WRITTEN`) and keeps all others.

    Raises:
        UserError: ``out`` exists (and is not an empty folder) without ``overwrite``, is a folder instead of a file or
            the reverse, was not written by us, or has another program's file with the name of a new one; its parent
            does not exist or is not writable.
    """
    place = Path(out).resolve()
    home = _check(Path(out), place, overwrite, folder)
    remove_dead_parts(home)
    with _part(home) as part:
        new, old = part / place.name, part / OLD
        if folder:
            new.mkdir()
        yield new
        try:
            old.mkdir()
            if folder:
                (new / WRITTEN).write_text(json.dumps(_files(new)), encoding='utf-8')
            for file in _files(new) if folder else ('.',):
                _flush(new / file)
            _exchange(new, place, old) if place.is_dir() else os.replace(new, place)
            _flush(place.parent)
        except OSError as error:
            raise UserError(f'{out} cannot be replaced ({error}): the new content is in {part}') from error
        shutil.rmtree(old, ignore_errors=True)


def _check(out: Path, place: Path, overwrite: bool, folder: bool) -> Path:
    """Check ``out``, and return the folder for the part."""
    home = place if place.is_dir() else place.parent
    if not home.is_dir():
        raise UserError(f'{home} is not a folder: create it first, or choose another name for {out}')
    if not os.access(home, os.W_OK):
        raise UserError(f'{home} is not writable: choose another name for {out}')
    if place.exists() and place.is_dir() != folder:
        kinds = ('a folder', 'a file') if place.is_dir() else ('a file', 'a folder')
        raise UserError(f'{out} is {kinds[0]}, but the output is {kinds[1]}: choose another name')
    there = sorted(p.name for p in place.iterdir() if not p.name.startswith(PART)) if place.is_dir() else []
    if (there or place.is_file()) and not overwrite:
        raise UserError(f'{out} exists: choose another name, or pass --overwrite')
    if there and WRITTEN not in there:
        raise UserError(
            f'{out} contains files that mmseg_adapt did not write ({there[0]}), and --overwrite never deletes those: '
            'choose another folder'
        )
    return home


def _exchange(new: Path, place: Path, old: Path) -> None:
    """Move the files of an earlier call out of ``place``, and ``new`` into it. An error restores the old state."""
    names, former = _files(new), [name for name in _written(place) if os.path.lexists(place / name)]
    if foreign := [name for name in names if name not in former and os.path.lexists(place / name)]:
        raise FileExistsError(f'another program wrote {foreign[0]}')
    done = []
    try:
        for source, target in [(place / n, old / n) for n in former] + [(new / n, place / n) for n in names]:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
            done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            target.rename(source)
        raise
    for emptied in {(place / name).parent for name in former} - {place}:
        with suppress(OSError):  # it is not empty
            os.removedirs(emptied)


def _files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*') if not p.is_dir())


def _written(folder: Path) -> list[str]:
    """The files that an earlier call wrote to a folder, including the list; never a file outside the folder."""
    with suppress(OSError, ValueError):
        names = [WRITTEN, *json.loads((folder / WRITTEN).read_text(encoding='utf-8'))]
        return [name for name in names if not Path(name).is_absolute() and '..' not in Path(name).parts]
    return []


def _flush(path: Path) -> None:
    """Make the content of a file, or the names in a folder, survive a power failure."""
    folder = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    except PermissionError:
        if folder:  # Windows cannot open folders
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _part(home: Path) -> Iterator[Path]:
    part = home / f'{PART}{_machine()}-{os.getpid()}-{uuid4().hex}'
    part.mkdir()
    try:
        yield part
    finally:
        _remove(part)


def _remove(part: Path) -> None:
    if part.is_file():  # of an earlier version
        part.unlink()
    elif not (part / OLD).exists():
        shutil.rmtree(part, ignore_errors=True)


def remove_dead_parts(folder: str | Path) -> None:
    """Remove the parts of killed processes: of this machine at once, of other machines after a day."""
    for part in Path(folder).glob(f'{PART}*'):
        machine, _, rest = part.name.removeprefix(PART).partition('-')
        number = rest.partition('-')[0]
        with suppress(OSError):  # another process was faster, or another user owns it
            here = os.name == 'posix' and machine == _machine() and number.isdigit()
            if not _is_alive(int(number)) if here else time.time() - part.stat().st_mtime > DEAD:
                _remove(part)


def _machine() -> str:
    """The scope in which a process id is unique: this machine and container."""
    name = gethostname()
    with suppress(OSError):
        name += f'_{os.readlink("/proc/self/ns/pid")}'
    return re.sub(r'\W', '_', name)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError as error:
        return isinstance(error, PermissionError)  # another user's
    return True
