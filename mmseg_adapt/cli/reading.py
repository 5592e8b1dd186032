"""How to read images other than 8 bits and three bands: from the files, from flags, or guessed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from ..files.image import check_reading, read_image
from .look import Look, Pixels


@dataclass
class Reading:
    """The arguments of ``LoadImage`` for one domain."""

    value_range: tuple[float, float] | None = None
    channels: tuple[int, ...] | None = None
    plain: bool = True  # 8 bits, three bands: uint8

    @property
    def count(self) -> int:
        """The number of channels that the network gets."""
        return len(self.channels) if self.channels else 3

    def step(self) -> str:
        """The pipeline step, as text."""
        named = dict(value_range=self.value_range, channels=self.channels)
        return f'dict({", ".join(["type=" + repr("LoadImage"), *(f"{k}={v!r}" for k, v in named.items() if v)])})'


def numbers(text: str | None, option: str, kind: type = float) -> tuple | None:
    """Parse numbers such as ``0,4095``."""
    if text is None:
        return None
    try:
        found = tuple(int(part) if part.strip().lstrip('-').isdigit() else kind(part) for part in text.split(','))
    except ValueError:
        raise UserError(f'{option} {text!r}: write numbers separated by commas, as in 0,4095') from None
    try:
        check_reading(*((None, found) if kind is int else (found, None)))
    except UserError as error:
        raise UserError(f'{option}: {error}') from None
    return found


def readings_of(
    looks: dict[str, Look], ranges: dict[str, tuple | None], channels: dict[str, tuple | None]
) -> dict[str, Reading]:
    """The readings of every domain. Guesses are printed with the flag that changes them.

    Raises:
        UserError: a folder has images of several kinds; floating point numbers have no range; the domains have
            different numbers of channels.
    """
    for look in looks.values():
        _check_one_kind(look)
    readings = {}
    for domain, look in looks.items():
        ((dtype, bands),) = look.held.kinds
        flags = ranges[domain], channels[domain]
        if (dtype, bands) == ('uint8', 3) and flags == (None, None):
            readings[domain] = Reading()
            continue
        alike = [other.held for other in looks.values() if dtype in {kind for kind, _ in other.held.kinds}]
        value_range = flags[0] or _range(domain, look, dtype, alike)
        readings[domain] = Reading(value_range, flags[1] or _channels(domain, bands), False)
    _check_channels(readings)
    return readings


def _check_one_kind(look: Look) -> None:
    if len(look.held.kinds) > 1:
        found = '; '.join(
            f'{len(files)} are {dtype} of {bands} bands, such as {files[0]}'
            for (dtype, bands), files in look.held.kinds.items()
        )
        raise UserError(f'{look.images} contains images of several kinds ({found}): move each kind to its own folder')


def _range(domain: str, look: Look, dtype: str, alike: Sequence[Pixels]) -> tuple[float, float] | None:
    """The range of values with as many bits as the largest value of this type needs, over all domains."""
    if dtype == 'uint8':
        return None
    lowest, highest = min(held.lowest for held in alike), max(held.highest for held in alike)
    if dtype.startswith('float'):
        raise UserError(
            f'{look.images} contains floating point numbers, {look.held.lowest:g}…{look.held.highest:g}: set the '
            f'values of black and white, as in --{domain}-value-range 0.0,1.0'
        )
    bits = max(8, int(highest).bit_length() + int(highest).bit_length() % 2)
    found = int(min(0, lowest)), min(2**bits - 1, int(np.iinfo(dtype).max))
    print(
        f'{domain}: {dtype}, values {lowest:g}…{highest:g}: {found[0]}…{found[1]} is mapped to 0…255; change it with '
        f'--{domain}-value-range {found[0]},{found[1]}'
    )
    return found


def _channels(domain: str, bands: int) -> tuple[int, ...] | None:
    if bands in (1, 3):
        return None
    found = tuple(range(bands))
    print(f'{domain}: {bands} bands, all are used; change this with --{domain}-channels {",".join(map(str, found))}')
    return found


def _check_channels(readings: dict[str, Reading]) -> None:
    counts = {domain: reading.count for domain, reading in readings.items()}
    if len(set(counts.values())) > 1:
        found = ', '.join(f'{domain}: {count}' for domain, count in counts.items())
        raise UserError(
            f'the domains have different numbers of channels ({found}): choose the same number of bands, in the same '
            'order, with --source-channels and --target-channels, as in 0,1,2'
        )


def mean_and_std(looks: dict[str, Look], readings: dict[str, Reading]) -> tuple[list[float], list[float]]:
    """Mean and std per channel of the network's input (three: BGR), 0…255. All domains have the same weight."""
    moments = [np.mean(list(_moments(look, readings[domain])), axis=0) for domain, look in looks.items()]
    first, second = np.mean(moments, axis=0)
    std = np.sqrt(np.maximum(second - first**2, 1e-6))
    return first.round(3).tolist(), std.round(3).tolist()


def _moments(look: Look, reading: Reading) -> Iterator[np.ndarray]:
    for path in look.chosen[:: max(1, len(look.chosen) // 50)]:
        image = read_image(path, reading.value_range, reading.channels).astype(np.float64).reshape(-1, reading.count)
        yield np.stack([image.mean(0), (image**2).mean(0)])
