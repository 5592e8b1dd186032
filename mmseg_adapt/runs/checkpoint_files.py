"""Which checkpoint files are intact, and which of them is the newest."""

from __future__ import annotations

import zipfile
from pathlib import Path

from mmengine.logging import print_log


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint file, or None.

    ``torch.save`` writes a zip archive with a CRC-32 for each record, but ``torch.load`` does not check it. This
    function reads the whole file: about a second for a ResNet-101 with its optimisers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (OSError, zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        return str(error)
    return None if broken is None else f'the checksum of its record {broken} does not match'


def newest_sound(folder: Path) -> Path | None:
    """The newest checkpoint of a run whose checksums match. A warning names each checkpoint that is skipped.

    The newest is the one named in ``last_checkpoint``, then the order is by time of writing.
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
