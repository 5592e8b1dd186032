"""Files for style: list the images of a folder, read them, and check that both sides read them in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import Compose
from mmseg.registry import TRANSFORMS
from torch import Tensor

from ..errors import UserError, first_line
from ..files.listing import IMAGE_ENDINGS, check_endings, images_below
from ..pictures import visible

READING = ('value_range', 'channels')  # arguments that LoadImage stores in the results


@contextmanager
def named(section: str) -> Iterator[None]:
    """Add the name of the section to what a registry or a constructor reports about a setting."""
    try:
        yield
    except (KeyError, TypeError) as error:
        raise UserError(f'{section}: {first_line(error)}') from None


def loader(steps: Sequence[dict], section: str) -> Compose:
    """Transforms that read an image. Raises: UserError: If one is unknown or invalid; it names the section."""
    with named(section):
        return Compose([TRANSFORMS.build(dict(step)) for step in steps])


def loaded(steps: Compose, file: Path) -> tuple[Tensor, dict]:
    """The image, BGR 0–255 float32 (1, 3, H, W) from the first three bands, and the results of the transforms."""
    results = steps(dict(img_path=str(file), seg_fields=[]))
    image = np.ascontiguousarray(visible(results['img']).transpose(2, 0, 1))
    return torch.from_numpy(image)[None].float(), results


def check_reading(results: Mapping, theirs: Mapping, what: str, cure: str) -> None:
    """Raises: UserError: an image was read with another value range or other bands than ``what``."""
    for key in READING:
        ours, other = (values.get(key) and tuple(values[key]) for values in (results, theirs))
        if ours != other:
            raise UserError(f'{what} with {key}={other}, but LoadImage of this pipeline has {key}={ours}: {cure}')


def images_in(folder: Path, option: str) -> dict[str, Path]:
    """Name (path below the folder without its suffix) → file, sorted.

    Raises:
        UserError: the folder does not exist or has no images; two images have the same name.
    """
    if not folder.is_dir():
        raise UserError(f'{folder} does not exist: set {option} to a folder of images')
    files = sorted(map(Path, images_below(folder)))
    if not files:
        raise UserError(f'{folder} contains no images ({", ".join(IMAGE_ENDINGS)}): set {option} to another folder')
    check_endings(str(folder), list(map(str, files)))
    return {file.with_suffix('').as_posix(): folder / file for file in files}
