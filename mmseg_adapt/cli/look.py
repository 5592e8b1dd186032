"""What two folders hold, before a config is written for them: pairs, sizes, ids and their shares."""

from __future__ import annotations

import os.path as osp
from bisect import bisect
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from PIL import ExifTags, Image

from ..datasets.transforms import read_label
from ..errors import UserError
from ..files.listing import check_endings, images_below

COLOURED = 'see "Labels that are colours" in docs/own_data.md'


@dataclass
class Look:
    """A folder of images and, perhaps, one of their labels."""

    images: str
    labels: str | None
    img_suffix: str  # by which an image's name ends, and …
    seg_map_suffix: str  # … a label's, whose names begin alike
    names: list[str]  # of the complete pairs (or images), without the suffix
    without_label: list[str]
    without_image: list[str]
    looked_at: int = 0
    sizes: Counter = field(default_factory=Counter)  # (width, height) → images
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))  # id → pixels
    label_channel: str | None = None

    @property
    def ids(self) -> list[int]:
        """Those that occur, 255 (ignore) left out."""
        return [i for i in np.flatnonzero(self.pixels).tolist() if i != 255]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of most images."""
        return self.sizes.most_common(1)[0][0]


def look_at(images: str, labels: str | None = None, label_suffix: str | None = None, limit: int = 200) -> Look:
    """List the folders, and open up to ``limit`` images and labels, spread evenly over the names.

    Raises:
        UserError: a folder that is missing or holds no image; two images that differ only in their ending; names of
            labels that do not begin like names of images, or several labels of one image; a file that cannot be read;
            labels that are colours; an id above 255; a label of another size than its image.
    """
    files = list_images(images)
    if labels is None:
        ending = osp.splitext(files[0])[1]
        if other := next((name for name in files if not name.endswith(ending)), None):
            raise UserError(f'{images} holds images of two kinds, {files[0]} and {other}: move one kind elsewhere')
        look = Look(images, None, ending, '', [name.removesuffix(ending) for name in files], [], [])
    else:
        look = pair(images, files, labels, list_images(labels, label_suffix or ''), label_suffix)
    chosen = np.unique(np.linspace(0, len(look.names) - 1, min(limit, len(look.names))).astype(int))
    look.looked_at = len(chosen)
    for i in chosen:
        inspect(look, look.names[i])
    return look


def list_images(folder: str, suffix: str = '') -> list[str]:
    if not osp.isdir(folder):
        raise UserError(f'{folder} does not exist: name the folder that holds the images (or labels)')
    files = sorted(name for name in images_below(folder) if name.endswith(suffix))
    if not files:
        raise UserError(f'no image{f" *{suffix}" if suffix else ""} in {folder}: name the folder that holds them')
    check_endings(folder, files)
    return files


def pair(images: str, files: list[str], labels: str, candidates: list[str], label_suffix: str | None) -> Look:
    """Images and labels whose names begin alike, whatever they end with."""
    found = Counter(filter(None, (suffixes(name, candidates) for name in files[:: max(1, len(files) // 50)])))
    if not found:
        raise UserError(
            f'no name in {labels} begins like one in {images}, as in {candidates[0]} and {files[0]}: rename or link '
            'the labels so that only the ends of the names differ'
        )
    (img_suffix, seg_map_suffix), _ = found.most_common(1)[0]
    names = {name.removesuffix(img_suffix) for name in files if name.endswith(img_suffix)}
    labelled = {name.removesuffix(seg_map_suffix) for name in candidates if name.endswith(seg_map_suffix)}
    both = sorted(names & labelled)
    others = {name + seg_map_suffix for name in both[1:]}
    kinds = [name.removeprefix(both[0]) for name in candidates if is_of(name, both[0]) and name not in others]
    if label_suffix is None and len(kinds) > 1:
        raise UserError(
            f'{images}/{both[0]}{img_suffix} has several labels in {labels}, ending with {", ".join(kinds)}: choose '
            'one kind with --source-label-suffix or --target-val-label-suffix'
        )
    return Look(images, labels, img_suffix, seg_map_suffix, both, sorted(names - labelled), sorted(labelled - names))


def is_of(label: str, name: str) -> bool:
    return label.startswith(name) and not label[len(name)].isalnum()


def suffixes(image: str, candidates: list[str]) -> tuple[str, str] | None:
    """Where the name of an image and of the label most like it part: at a character that is no letter or digit."""
    i = bisect(candidates, osp.splitext(image)[0])
    near = candidates[max(0, i - 1) : i + 1]
    common = [osp.commonprefix([osp.splitext(image)[0], osp.splitext(label)[0]]) for label in near]
    length, label = max(zip(map(len, common), near))
    while length and (image[length].isalnum() or label[length].isalnum()):
        length -= 1
    named = osp.basename(image[:length]) and '/' not in image[length:] + label[length:]
    return (image[length:], label[length:]) if named else None


def inspect(look: Look, name: str) -> None:
    """Add the sizes and ids of one image or pair."""
    image_path = osp.join(look.images, name + look.img_suffix)
    try:
        with Image.open(image_path) as image:
            size = image.size
            # a PNG would have to be decoded for its tag
            if image.format != 'PNG' and image.getexif().get(ExifTags.Base.Orientation, 1) > 4:
                size = size[::-1]  # on its side: LoadImage turns it
    except Exception as error:
        raise UserError(f'{image_path} cannot be read ({error}): restore the file or remove it') from error
    look.sizes[size] += 1
    if look.labels is None:
        return
    path = osp.join(look.labels, name + look.seg_map_suffix)
    look.label_channel = channel_of_ids(path) or look.label_channel  # asked of every label: a first one may be black
    label = read_label(path, 2 if look.label_channel else None)
    if label.shape[::-1] != size:
        raise UserError(
            f'{path} is {label.shape[1]}×{label.shape[0]}, its image {image_path} is {size[0]}×{size[1]}: restore '
            'the pair or remove it'
        )
    look.pixels += np.bincount(label.ravel(), minlength=256)


def channel_of_ids(path: str) -> str | None:
    """``'red'`` where that channel alone says something, as in CARLA's raw labels; None for a label of one channel.

    Raises:
        UserError: labels that are colours.
    """
    try:
        with Image.open(path) as image:
            if len(image.getbands()) == 1:
                return None
            red, *others = np.moveaxis(np.asarray(image.convert('RGB')), -1, 0)
    except Exception as error:
        raise UserError(f'{path} cannot be read ({error}): restore the file or remove it') from error
    if any(channel.any() for channel in others):
        raise UserError(
            f'{path} holds colours, not class ids: export ids (one channel), or convert the colours once; {COLOURED}'
        )
    return 'red'
