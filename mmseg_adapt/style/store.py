"""A folder of renders: one PNG per source image, ``style.pth``, and ``aan.json`` that says how they were made."""

from __future__ import annotations

import io
import json
import os
import socket
from pathlib import Path, PurePath

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..errors import UserError
from .gram import Style

MANIFEST, STYLE = 'aan.json', 'style.pth'
SOURCE_BYTES = 'source bytes'  # a text in the PNG: renders are found by name, and names repeat


class RenderStore:
    """Renders on disk. Files appear whole or not at all; several processes may write at once.

    Args:
        folder: of the store; made by :meth:`create`.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @property
    def exists(self) -> bool:
        return (self.folder / MANIFEST).exists()

    def create(self, settings: dict, made_with: dict) -> None:
        """Make the store, or check that it was made with the same settings.

        Args:
            settings: everything that decides what a render looks like. They are compared.
            made_with: what made it, for messages. Not compared.

        Raises:
            UserError: a store of other settings; a folder of other files.
        """
        from ..engine.launch import first_difference  # the engine imports what imports this

        settings = json.loads(json.dumps(settings))
        if not self.exists and self.folder.is_dir() and any(f for f in self.folder.iterdir() if not is_part(f)):
            raise UserError(f'{self.folder} holds other files and no {MANIFEST}: choose an empty folder for --out')
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remove_dead_parts()
        text = json.dumps(dict(settings=settings, made_with=made_with), indent=1, ensure_ascii=False)
        self._write(MANIFEST, text.encode(), keep=True)
        there = self.manifest()['settings']
        if (key := first_difference(_compared(there), _compared(settings))) is not None:
            raise UserError(
                f'{self.folder} was made with other settings: {key} is {_lookup(there, key)} there and '
                f'{_lookup(settings, key)} here; choose another --out, or the settings of {self.folder / MANIFEST}'
            )

    def manifest(self) -> dict:
        """``{'settings': …, 'made_with': …}``.

        Raises:
            UserError: a folder that is no store.
        """
        try:
            return json.loads((self.folder / MANIFEST).read_text(encoding='utf-8'))
        except (OSError, ValueError):
            raise UserError(f'{self.folder} is no store of renders: make it with tools/render_aan.py') from None

    def style(self) -> Style | None:
        """The style of the store, None where it has not been computed yet."""
        return Style.load(self.folder / STYLE) if (self.folder / STYLE).exists() else None

    def add_style(self, style: Style) -> Style:
        """Keep a style; where another process was faster, that one's is kept. Returns the store's."""
        self._write(STYLE, style.dumps(), keep=True)
        return self.style()

    def path(self, name: str) -> Path:
        return self.folder / f'{name}.png'

    def add(self, name: str, image: np.ndarray, source: Path) -> int:
        """Write the render of a file, BGR (H, W, 3) uint8, and in it the file's size; returns its own."""
        buffer, text = io.BytesIO(), PngInfo()
        text.add_text(SOURCE_BYTES, str(source.stat().st_size))
        Image.fromarray(image[..., ::-1]).save(buffer, 'PNG', pnginfo=text)
        self._write(f'{name}.png', buffer.getvalue())
        return buffer.tell()

    def find(self, img_path: str) -> Path | None:
        """The render of a source image: that of the longest end of its path which the store knows."""
        parts = PurePath(img_path).with_suffix('').parts
        candidates = ('/'.join(parts[i:]) for i in range(len(parts)) if not parts[i].startswith(os.sep))
        return next((path for name in candidates if (path := self.path(name)).exists()), None)

    @staticmethod
    def read(path: Path, size: tuple[int, int], source: str) -> np.ndarray:
        """A render as BGR (H, W, 3) uint8 at ``size`` = (H, W), that of ``source``, the file it stands for.

        Raises:
            UserError: a file that is no image, or the render of another file.
        """
        try:
            with Image.open(path) as file:
                image, number = file.convert('RGB'), file.info.get(SOURCE_BYTES)
        except OSError as error:
            raise UserError(f'{path} cannot be read ({error}): remove it and run tools/render_aan.py again') from error
        if os.path.isfile(source) and number != str(os.path.getsize(source)):
            raise UserError(
                f'{path} is the render of another file than {source} ({number} bytes): name the store of this data set'
            )
        height, width = size
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BICUBIC)
        return np.ascontiguousarray(np.asarray(image)[..., ::-1])

    def _write(self, name: str, data: bytes, keep: bool = False) -> None:
        """Atomically; with ``keep`` only where the file does not exist yet."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = self.folder / f'.part-{socket.gethostname()}-{os.getpid()}'
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

    def _remove_dead_parts(self) -> None:
        """What a killed process of this machine left."""
        prefix = f'.part-{socket.gethostname()}-'
        for part in self.folder.glob(f'{prefix}*'):
            try:
                os.kill(int(part.name.removeprefix(prefix)), 0)
            except ProcessLookupError:
                part.unlink(missing_ok=True)
            except PermissionError:
                pass  # another user's, alive


def is_part(file: Path) -> bool:
    return file.name.startswith('.part-')


def _compared(settings: dict) -> dict:
    """Where the encoder's weights lie does not matter: their fingerprint is compared."""
    encoder = {k: v for k, v in settings.get('encoder', {}).items() if k != 'init_cfg'}
    return {**settings, 'encoder': encoder}


def _lookup(settings, key: str):
    for part in key.replace(']', '').replace('[', '.').split('.'):
        settings = settings[int(part)] if isinstance(settings, list) else settings.get(part)
    return settings
