"""List the files in a folder, recursively."""

from __future__ import annotations

import os
import os.path as osp
from collections.abc import Iterator
from pathlib import Path

from ..errors import UserError

IMAGE_ENDINGS = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')


def files_below(folder: str) -> Iterator[str]:
    """All files, relative to ``folder``, except hidden ones and those in hidden folders.

    Another process may be writing to ``folder``: the hidden folders in which :mod:`.whole` writes come and go.

    Raises:
        UserError: the folder cannot be listed.
    """

    def stop(error: OSError) -> None:
        raise UserError(f'{folder} cannot be listed ({error}): check the permissions of the folder') from error

    start = len(osp.join(folder, ''))
    for path, folders, names in os.walk(folder, onerror=stop, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith('.')]
        within = osp.join(path, '')[start:]
        yield from (within + name for name in names if not name.startswith('.'))


def images_below(folder: str | Path) -> Iterator[str]:
    """The images among :func:`files_below`."""
    return filter(is_image, files_below(str(folder)))


def is_image(name: str) -> bool:
    return osp.splitext(name)[1].lower() in IMAGE_ENDINGS


def check_endings(folder: str, files: list[str]) -> None:
    """Raises: UserError: two images differ only in their extension, so the intended one is ambiguous."""
    first: dict[str, str] = {}
    for name in filter(is_image, files):
        if first.setdefault(osp.splitext(name)[0], name) != name:
            a, b = sorted((first[osp.splitext(name)[0]], name))
            raise UserError(f'{osp.join(folder, a)} and {b} differ only in their file extension: keep one of them')


def renamed(name: str, pair: tuple[str, str] | None) -> str:
    """The name of a label from that of its image, both relative to their folders and without suffix.

    ``pair`` = (word, other word): replaces every occurrence; an empty word means the start of the file's name.

    >>> renamed('run01_rgb/rgb_07', ('rgb', 'sem')), renamed('a/7', ('', 'lbl_'))
    ('run01_sem/sem_07', 'a/lbl_7')
    """
    if not pair:
        return name
    word, other = pair
    folder, slash, base = name.rpartition('/')
    return name.replace(word, other) if word else f'{folder}{slash}{other}{base}'


def name_below(path: str, folder: str | None) -> str:
    """The path of a file relative to ``folder``, without its ending; only its name if it is not in ``folder``."""
    inside = folder and Path(osp.abspath(path)).is_relative_to(osp.abspath(folder))
    return osp.splitext(osp.relpath(path, folder) if inside else osp.basename(path))[0]
