"""Checkpoint files that are whole or not there, and finding the newest sound one."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import print_log


class AtomicBackend(LocalBackend):
    """mmengine's local files, written so that a file of the final name is complete whenever the process dies.

    A config names it where mmengine writes: ``checkpoint=dict(type='CheckpointHook',
    backend_args=dict(backend='AtomicBackend'))``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f'.{path.name}.unfinished')
        try:
            self._write(obj, unfinished)
            unfinished.replace(path)
        except OSError:  # a full disk, say: leave no half file
            unfinished.unlink(missing_ok=True)
            raise
        _flush_folder(path.parent)

    @staticmethod
    def _write(obj: bytes, path: Path) -> None:
        with path.open('wb') as file:
            file.write(obj)
            file.flush()
            os.fsync(file.fileno())


register_backend('AtomicBackend', AtomicBackend, force=True)


def _flush_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint file, or None.

    ``torch.save`` writes a zip archive with a CRC-32 of every record, which ``torch.load`` does not check. This reads
    the whole file: about a second for a ResNet-101 with its optimisers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (OSError, zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        return str(error)
    return None if broken is None else f'the checksum of its record {broken} does not match'


def newest_sound(folder: Path) -> Path | None:
    """The newest checkpoint of a run whose checksums match; those passed over are named in a warning each.

    Newest is the one that ``last_checkpoint`` names, then by the time of writing.
    """
    last = folder / 'last_checkpoint'
    named = Path(last.read_text().strip() or '.') if last.is_file() else Path()
    others = {path for place in (folder, named.parent) for path in place.glob('iter_*.pth') if named.name}
    others |= set(folder.glob('iter_*.pth'))
    candidates = sorted(others, key=lambda p: p.stat().st_mtime_ns, reverse=True)
    if named.is_file():
        written = named.stat().st_mtime_ns
        candidates = [named, *(p for p in candidates if p.stat().st_mtime_ns <= written and not p.samefile(named))]
    for path in candidates:
        if (problem := damage(path)) is None:
            return path
        print_log(f'{path} is damaged ({problem}): trying the checkpoint before it', 'current', level=30)
    return None
