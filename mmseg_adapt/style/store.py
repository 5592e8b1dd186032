"""A folder of renders: one PNG per source image, ``style.pth``, and ``aan.json`` with the settings."""

from __future__ import annotations

import io
import json
import os
import zlib
from pathlib import Path, PurePath

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..errors import UserError, first_line
from ..files.difference import first_difference
from ..files.image import any_size
from ..files.whole import PART, remove_dead_parts, write_whole
from .gram import Style

MANIFEST, STYLE = 'aan.json', 'style.pth'
# text chunks of the PNG: renders are found by name, but names repeat
SOURCE_BYTES, SOURCE_CRC, START = 'source bytes', 'source crc32', 'start'


class RenderStore:
    """Renders on disk. Files are written atomically; several processes may write at once.

    Args:
        folder: the folder of the store; :meth:`create` creates it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._checked: dict[tuple[str, str], tuple] = {}  # (name, source) → sizes and times of both files, result

    @property
    def exists(self) -> bool:
        return (self.folder / MANIFEST).exists()

    def create(self, settings: dict, made_with: dict) -> None:
        """Make the store, or check that it was made with the same settings.

        Args:
            settings: everything that determines what a render looks like. Compared.
            made_with: config, source, target and options, for messages. Not compared.

        Raises: see :meth:`check`.
        """
        self.check(settings)
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_dead_parts(self.folder)
        text = json.dumps(dict(settings=settings, made_with=made_with), indent=1, ensure_ascii=False)
        write_whole(self.folder, MANIFEST, text.encode(), keep=True)
        self.check(settings)  # another process may have been faster

    def check(self, settings: dict) -> None:
        """Raises: UserError: the store has other settings; the folder contains other files."""
        names = [file.name for file in self.folder.iterdir()] if self.folder.is_dir() else []
        if not self.exists:  # checked after the listing: the manifest is always written first
            if any(not name.startswith(PART) for name in names):
                raise UserError(
                    f'{self.folder} contains other files and no {MANIFEST}: choose an empty folder for --out'
                )
            return
        there, settings = self.manifest()['settings'], json.loads(json.dumps(settings))
        if (key := first_difference(_compared(there), _compared(settings))) is not None:
            raise UserError(
                f'{self.folder} has other settings: {key} is {_lookup(there, key)} there and '
                f'{_lookup(settings, key)} here; choose another --out, or the settings of {self.folder / MANIFEST}'
            )

    def manifest(self) -> dict:
        """``{'settings': …, 'made_with': …}``.

        Raises:
            UserError: the folder is not a store.
        """
        try:
            return json.loads((self.folder / MANIFEST).read_text(encoding='utf-8'))
        except (OSError, ValueError):
            raise UserError(f'{self.folder} does not contain renders: create them with tools/render_aan.py') from None

    @property
    def has_style(self) -> bool:
        return (self.folder / STYLE).exists()

    def style(self) -> Style:
        """Raises: UserError: the style has not been computed yet, or its file is damaged."""
        if not self.has_style:
            raise UserError(f'{self.folder} contains no {STYLE}: create it with tools/render_aan.py')
        return Style.load(self.folder / STYLE)

    def add_style(self, style: Style) -> Style:
        """Store a style, unless another process has already stored one. Returns the style in the store."""
        write_whole(self.folder, STYLE, style.dumps(), keep=True)
        return self.style()

    def path(self, name: str) -> Path:
        return self.folder / f'{name}.png'

    def add(self, name: str, image: np.ndarray, source: Path, start: str | None = None) -> int:
        """Write the render of a file, BGR (H, W, 3) uint8, with the file's size and checksum and the start used.

        Returns the size of the render in bytes.
        """
        buffer, text = io.BytesIO(), PngInfo()
        text.add_text(SOURCE_BYTES, str(source.stat().st_size))
        text.add_text(SOURCE_CRC, checksum_of(source))
        if start is not None:
            text.add_text(START, start)
        Image.fromarray(image[..., ::-1]).save(buffer, 'PNG', pnginfo=text)
        write_whole(self.folder, f'{name}.png', buffer.getvalue())
        return buffer.tell()

    def holds(self, name: str, source: str | Path) -> bool:
        """Whether the store has a render with that name, made from ``source`` in its present state.

        The files are read once, and again if the size or the time of one of them changes.
        """
        stamps = (_stamp(self.path(name)), _stamp(source))
        if stamps[0] is None:
            return False
        known = self._checked.get((name, str(source)))
        if known is None or known[0] != stamps:
            known = self._checked[name, str(source)] = (stamps, self._is_of(name, source))
        return known[1]

    def _is_of(self, name: str, source: str | Path) -> bool:
        try:
            with any_size(), Image.open(self.path(name)) as file:
                size, checksum = (file.info.get(key) for key in (SOURCE_BYTES, SOURCE_CRC))
        except Exception:  # as in read: render it again
            return False
        if not os.path.isfile(source):  # not on a disk
            return True
        if size != str(os.path.getsize(source)):
            return False
        return checksum is None or checksum == checksum_of(source)  # the first stores had no checksum

    def find(self, img_path: str) -> Path | None:
        """The render of a source image, under the longest end of its path that the store has."""
        parts = PurePath(img_path).with_suffix('').parts
        names = ('/'.join(parts[i:]) for i in range(len(parts)) if not parts[i].startswith(os.sep))
        return next((self.path(name) for name in names if self.holds(name, img_path)), None)

    @staticmethod
    def read(path: Path, size: tuple[int, int]) -> np.ndarray:
        """Read a render as BGR (H, W, 3) uint8 at ``size`` = (H, W), the size of its source file.

        Raises:
            UserError: the file is not a complete image.
        """
        try:
            with any_size(), Image.open(path) as file:
                image = file.convert('RGB')
        except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError and struct.error
            raise UserError(
                f'{path} cannot be read ({first_line(error)}): remove it and run tools/render_aan.py again'
            ) from error
        height, width = size
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BICUBIC)
        return np.ascontiguousarray(np.asarray(image)[..., ::-1])


def checksum_of(file: str | Path) -> str:
    return f'{zlib.crc32(Path(file).read_bytes()):08x}'


def _stamp(file: str | Path) -> tuple[int, int] | None:
    try:
        stat = os.stat(file)
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _compared(settings: dict) -> dict:
    """The location of the encoder's weights does not matter: their fingerprint is compared."""
    encoder = {k: v for k, v in settings.get('encoder', {}).items() if k != 'init_cfg'}
    return {**settings, 'encoder': encoder}


def _lookup(settings, key: str):
    for part in key.replace(']', '').replace('[', '.').split('.'):
        settings = settings[int(part)] if isinstance(settings, list) else settings.get(part)
    return settings
