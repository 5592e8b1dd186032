"""Inspect two folders before writing a config: pairs, sizes, ids and their shares, bits and bands."""

from __future__ import annotations

import io
import os.path as osp
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from mmengine import fileio
from PIL import ExifTags, Image

from ..datasets.transforms import JPEG, read_label
from ..errors import UserError
from ..files.image import bands_of, is_plain, opaque, readable
from ..files.listing import check_endings, images_below
from .pairing import Ends, Names, doubt, endings, find_names, kinds, pair_option, short

COLOURED = 'see "Labels that are colours" in docs/own_data.md'


@dataclass
class Wanted:
    """What the user says about the files of one domain; ``option`` is the prefix of the flags, for messages."""

    option: str = '--source'
    image_suffix: str | None = None
    label_suffix: str | None = None
    pair: tuple[str, str] | None = None
    allow_unpaired: bool = False
    some_labels: bool = False  # only a few of many images have labels, and that is fine


@dataclass
class Pixels:
    """Types and bands of image files (type and bands → files), and the extreme values."""

    kinds: dict[tuple[str, int], list[str]] = field(default_factory=dict)  # ('uint16', 1) → its files
    lowest: float = float('inf')
    highest: float = float('-inf')

    def add(self, other: Pixels) -> None:
        for kind, files in other.kinds.items():
            self.kinds.setdefault(kind, []).extend(files)
        self.lowest, self.highest = min(self.lowest, other.lowest), max(self.highest, other.highest)


@dataclass
class Look:
    """A folder of images and, perhaps, one of their labels."""

    images: str
    labels: str | None
    img_suffix: Ends  # how image names end, and …
    seg_map_suffix: Ends  # … how label names end, after the same stem
    files: dict[str, tuple[str, str | None]]  # stem → image and label
    without_label: list[str]
    without_image: list[str]
    word: tuple[str, str] | None = None  # in image names, and its replacement in label names
    looked_at: int = 0
    sizes: Counter = field(default_factory=Counter)  # (width, height) → images
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))  # id → pixels
    held: Pixels = field(default_factory=Pixels)
    chosen: list[str] = field(default_factory=list)  # paths of the images that were opened
    label_channel: str | None = None
    option: str = '--source'  # prefix of the flags for it

    @property
    def names(self) -> list[str]:
        """Names of the complete pairs (or images), without the suffix."""
        return list(self.files)

    @property
    def ids(self) -> list[int]:
        """The ids that occur, including 255 (ignored, unless a class has it)."""
        return np.flatnonzero(self.pixels).tolist()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of most images."""
        return self.sizes.most_common(1)[0][0]


def look_at(images: str, labels: str | None = None, wanted: Wanted | None = None, limit: int = 200) -> Look:
    """List the folders, and open up to ``limit`` images and labels, evenly spaced over the names.

    Raises:
        UserError: a folder is missing or has no images; two images differ only in their ending; label names do not
            match image names, or an image has several labels; images and labels are the same files; a file cannot be
            read; labels are colours; an id is above 255; a label and its image differ in size.
    """
    wanted = wanted or Wanted()
    look = _images_only(images, wanted) if labels is None else _paired(images, labels, wanted)
    names = look.names
    places = np.unique(np.linspace(0, len(names) - 1, min(limit, len(names))).astype(int))
    look.looked_at = len(places)
    for i in places:
        inspect(look, *look.files[names[i]])
    return look


def _images_only(images: str, wanted: Wanted) -> Look:
    files = list_images(images, wanted.image_suffix or '')
    ends = (wanted.image_suffix,) if wanted.image_suffix else endings(files)
    return Look(images, None, short(ends), '', {osp.splitext(name)[0]: (name, None) for name in files}, [], [])


def _paired(images: str, labels: str, wanted: Wanted) -> Look:
    one_folder = osp.realpath(images) == osp.realpath(labels)
    files = list_images(images, wanted.image_suffix or '', strict=not one_folder)
    named = list_images(labels, wanted.label_suffix or '', strict=not one_folder)
    if one_folder:
        files, named = _apart(images, files, named, wanted)
    return pair(images, files, labels, named, wanted)


def _apart(folder: str, files: list[str], labels: list[str], wanted: Wanted) -> tuple[list[str], list[str]]:
    """The images and the labels of a shared folder: a file with the suffix of one kind is not of the other kind."""
    if not wanted.image_suffix and not wanted.label_suffix:
        found = ', '.join(f'*{end} ({count})' for end, count in kinds(files).most_common(4))
        raise UserError(
            f'{folder} contains both images and labels; the names end with {found}: choose each kind with '
            f'{wanted.option}-image-suffix and {wanted.option}-label-suffix'
        )
    if not wanted.image_suffix:
        files = [name for name in files if name not in set(labels)]
    if not wanted.label_suffix:
        labels = [name for name in labels if name not in set(files)]
    if not set(files).isdisjoint(labels) or not files or not labels:
        raise UserError(
            f'{folder}: {wanted.option}-image-suffix {wanted.image_suffix} and {wanted.option}-label-suffix '
            f'{wanted.label_suffix} match the same files, or no files: set two different endings, as in _sat.jpg and '
            '_mask.png'
        )
    return files, labels


def list_images(folder: str, suffix: str = '', strict: bool = True) -> list[str]:
    if not osp.isdir(folder):
        raise UserError(f'{folder} does not exist: pass the folder that contains the images (or labels)')
    files = sorted(name for name in images_below(folder) if name.endswith(suffix))
    if not files:
        raise UserError(f'no image{f" *{suffix}" if suffix else ""} in {folder}: pass the folder that contains them')
    if strict:
        check_endings(folder, files)
    return files


def pair(images: str, files: list[str], labels: str, candidates: list[str], wanted: Wanted) -> Look:
    """Images and labels whose names have the same stem, or differ in one word."""
    names = find_names(files, candidates, wanted.image_suffix, wanted.label_suffix, wanted.pair)
    found, without_label, without_image = names.pairs(files, candidates) if names else ({}, [], [])
    if not found:
        flag = pair_option(wanted.option)
        raise UserError(
            f'no name in {labels} matches one in {images}, such as {candidates[0]} and {files[0]}: set the word that '
            f'differs, as in {flag} rgb=sem, or rename or link the labels'
        )
    _check_kinds(images, labels, candidates, found, names, wanted)
    if not wanted.allow_unpaired:
        doubt(images, labels, len(found), [] if wanted.some_labels else without_label, without_image, wanted.option)
    ends = short(names.image_ends), short(names.label_ends)
    return Look(images, labels, *ends, found, without_label, without_image, names.word, option=wanted.option)


def _check_kinds(images: str, labels: str, candidates: list[str], found: dict, names: Names, wanted: Wanted) -> None:
    """Raises: UserError: an image has several labels, and no flag says which kind to use."""
    both = list(found)
    (image, label), used = found[both[0]], {label for _, label in found.values()}
    stem = label.removesuffix(next(end for end in names.label_ends if label.endswith(end)))
    several = [name.removeprefix(stem) for name in candidates if is_of(name, stem) and name not in used - {label}]
    if wanted.label_suffix is None and len(several) > 1:
        raise UserError(
            f'{images}/{image} has several labels in {labels}, ending with {", ".join(several)}: choose '
            f'one kind with {wanted.option}-label-suffix'
        )


def is_of(label: str, name: str) -> bool:
    return label.startswith(name) and not label[len(name)].isalnum()


def inspect(look: Look, image: str, label: str | None) -> None:
    """Record the size, ids, bits and bands of one image or pair."""
    image_path = osp.join(look.images, image)
    look.chosen.append(image_path)
    with readable(image_path):
        size = _hold(look.held, image_path)
    look.sizes[size] += 1
    if label is None:
        return
    path = osp.join(look.labels, label)
    look.label_channel = channel_of_ids(path) or look.label_channel  # check every label: the first may be black
    ids = read_label(path, 2 if look.label_channel else None)
    if ids.shape[::-1] != size:
        raise UserError(
            f'{path} is {ids.shape[1]}×{ids.shape[0]}, but its image {image_path} is {size[0]}×{size[1]}: restore '
            'the pair or remove it'
        )
    look.pixels += np.bincount(ids.ravel(), minlength=256)


def _hold(held: Pixels, path: str) -> tuple[int, int]:
    """Record the content of a file; returns its (width, height)."""
    data = fileio.get(path)
    if is_plain(data):
        held.kinds.setdefault(('uint8', 3), []).append(path)
        with Image.open(io.BytesIO(data)) as image:
            # reading the tag of a PNG would mean decoding it
            turned = image.format != 'PNG' and image.getexif().get(ExifTags.Base.Orientation, 1) > 4
            return image.size[::-1] if turned else image.size  # stored sideways: LoadImage rotates it
    bands, alpha = bands_of(data)
    if alpha and opaque(bands):
        bands = bands[..., :-1]
    grey_or_colours = bands.dtype == np.uint8 and bands.shape[2] in (1, 3)
    kind = ('uint8', 3) if grey_or_colours else (bands.dtype.name, bands.shape[2])
    held.kinds.setdefault(kind, []).append(path)
    held.lowest = min(held.lowest, float(np.nanmin(bands)))
    held.highest = max(held.highest, float(np.nanmax(bands)))
    return bands.shape[1::-1]


def channel_of_ids(path: str) -> str | None:
    """``'red'`` if only that channel has ids, as in CARLA's raw labels; None if every channel has them.

    Raises:
        UserError: the labels are colours.
    """
    with readable(path):
        data = fileio.get(path)
        if data[:3] == JPEG:
            return None  # read_label rejects it
        if not is_plain(data):
            bands = bands_of(data)[0]
        else:
            with Image.open(io.BytesIO(data)) as image:
                bands = np.asarray(image) if len(image.getbands()) > 1 else np.zeros((1, 1, 1))
    colours = bands[..., :3]
    if colours.shape[2] < 3 or (colours == colours[..., :1]).all():
        return None
    if colours[..., 1:].any():
        raise UserError(
            f'{path} contains colours, not class ids: export ids (one channel), or convert the colours once; {COLOURED}'
        )
    return 'red'
