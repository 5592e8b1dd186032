"""Match labels to images: by the same stem, or by one word that differs in the names of the labels."""

from __future__ import annotations

import os.path as osp
import re
from bisect import bisect
from collections import Counter
from dataclasses import dataclass

from ..errors import UserError
from ..files.listing import renamed

LEFT_OUT = 0.05  # doubt the pairing if a larger share of images or labels has no partner
Ends = str | tuple[str, ...]


@dataclass
class Names:
    """The names of an image and its label: ``stem + image end`` and ``renamed(stem, word) + label end``."""

    image_ends: tuple[str, ...]
    label_ends: tuple[str, ...]
    word: tuple[str, str] | None = None

    def pairs(self, files: list[str], labels: list[str]) -> tuple[dict[str, tuple[str, str]], list[str], list[str]]:
        """Stem → (image, label), the stems of images without a label, and those of labels without an image."""
        images = {stem: name for name in files if (stem := stem_of(name, self.image_ends)) is not None}
        named = {stem: name for name in labels if (stem := stem_of(name, self.label_ends)) is not None}
        wanted = {stem: renamed(stem, self.word) for stem in images}
        found = {stem: (images[stem], named[label]) for stem, label in sorted(wanted.items()) if label in named}
        used = {wanted[stem] for stem in found}
        return found, sorted(images.keys() - found.keys()), sorted(named.keys() - used)


def stem_of(name: str, ends: tuple[str, ...]) -> str | None:
    end = max((end for end in ends if name.endswith(end)), key=len, default=None)
    return None if end is None else name.removesuffix(end)


def short(ends: tuple[str, ...]) -> Ends:
    return ends[0] if len(ends) == 1 else ends


def endings(files: list[str]) -> tuple[str, ...]:
    """Most frequent first: ``.png``, ``.JPG``, …"""
    return tuple(end for end, _ in Counter(osp.splitext(name)[1] for name in files).most_common())


def kinds(files: list[str]) -> Counter:
    """The ends of the names after their last number, such as ``_sat.jpg`` and ``_mask.png``."""
    return Counter(re.search(r'[^\d/]*\.\w+$', name)[0] for name in files)


def find_names(
    files: list[str],
    labels: list[str],
    image_end: str | None = None,
    label_end: str | None = None,
    word: tuple[str, str] | None = None,
) -> Names | None:
    """The rule that matches names of images and labels; None if there is no pair."""
    if word:
        image_ends, label_ends = (image_end,) if image_end else endings(files), (label_end,) if label_end else None
        return Names(image_ends, label_ends or endings(labels), word)
    ways = [_by_start(files, labels, image_end, label_end)]
    if ways[0] is None or _left_out(ways[0], files, labels) > LEFT_OUT:
        ways.append(_by_word(files, labels, image_end, label_end))
    ways = [way for way in ways if way is not None]
    return min(ways, key=lambda way: _left_out(way, files, labels), default=None)


def _left_out(names: Names, files: list[str], labels: list[str]) -> float:
    found, without_label, _ = names.pairs(files, labels)
    return 1 - len(found) / max(1, min(len(files), len(labels)))


def _by_start(files: list[str], labels: list[str], image_end: str | None, label_end: str | None) -> Names | None:
    found = Counter(filter(None, (_ends_of(name, labels) for name in files[:: max(1, len(files) // 50)])))
    if not found:
        return None
    (image, label), _ = found.most_common(1)[0]
    both: list = [
        (end,) if end else _alike(own, names)
        for end, own, names in ((image_end, image, files), (label_end, label, labels))
    ]
    return Names(*both)


def _alike(end: str, files: list[str]) -> tuple[str, ...]:
    """``end``, also with every other file type that occurs: ``_rgb.png`` and ``_rgb.JPG``."""
    own, ending = osp.splitext(end)
    if not ending:  # only '.png'
        own, ending = '', end
    further = [own + other for other in endings(files) if other != ending]
    return (end, *(other for other in further if any(name.endswith(other) for name in files)))


def _ends_of(image: str, labels: list[str]) -> tuple[str, str] | None:
    """The ends of an image name and of the most similar label name, from the last separator before they differ."""
    i = bisect(labels, osp.splitext(image)[0])
    near = labels[max(0, i - 1) : i + 1]
    common = [osp.commonprefix([osp.splitext(image)[0], osp.splitext(label)[0]]) for label in near]
    length, label = max(zip(map(len, common), near))
    while length and (image[length].isalnum() or label[length].isalnum()):
        length -= 1
    named = osp.basename(image[:length]) and '/' not in image[length:] + label[length:]
    return (image[length:], label[length:]) if named else None


def _by_word(files: list[str], labels: list[str], image_end: str | None, label_end: str | None) -> Names | None:
    """A rule that replaces one word: it maps the names of the images to those of the labels."""
    ends = (image_end,) if image_end else endings(files), (label_end,) if label_end else endings(labels)
    images, named = (
        {stem for name in names if (stem := stem_of(name, e)) is not None} for names, e in zip((files, labels), ends)
    )
    chosen, few = sorted(images)[:: max(1, len(images) // 8)], sorted(named)[:4000]
    candidates = Counter(pair for image in chosen for label in few if (pair := difference(image, label)))
    best, most = None, 0
    for pair, _ in sorted(candidates.most_common(40), key=lambda item: (-item[1], len(item[0][0]) + len(item[0][1]))):
        mapped = {renamed(image, pair) for image in images}
        if len(mapped) == len(images) and len(mapped & named) > most:
            best, most = pair, len(mapped & named)
    return best and Names(*ends, best)


def difference(image: str, label: str) -> tuple[str, str] | None:
    """The word in one name, and the word that replaces it in the other; None if more than that differs.

    >>> difference('run01_rgb_0007', 'run01_sem_0007'), difference('7', 'lbl_7'), difference('a_1', 'a_2')
    (('rgb', 'sem'), ('', 'lbl_'), None)
    """
    words = [re.findall(r'[^\W\d_]+|\d+|[\W_]+', name) for name in (image, label)]
    if len(words[0]) == len(words[1]):
        differing = {pair for pair in zip(*words) if pair[0] != pair[1]}
        pair = differing.pop() if len(differing) == 1 else None
        return pair if pair and pair[0].isalpha() and pair[1].isalpha() else None
    start = osp.commonprefix([image, label])
    end = osp.commonprefix([image[len(start) :][::-1], label[len(start) :][::-1]])[::-1]
    while start and start[-1].isalpha():
        start = start[:-1]
    while end and end[0].isalpha() and start != image[: len(image) - len(end)]:
        end = end[1:]
    word, other = (name[len(start) : len(name) - len(end)] for name in (image, label))
    if not word:  # a prefix of the file's name
        return (word, other) if other and (not start or start.endswith('/')) and not other[-1].isalnum() else None
    return (word, other) if word[0].isalpha() else None


def pair_option(option: str) -> str:
    """The flag that sets the word of a domain."""
    return '--pair' if option == '--source' else f'{option}-pair'


def doubt(
    images: str, labels: str, found: int, without_label: list[str], without_image: list[str], option: str
) -> None:
    """Raises: UserError: the pairing omits more than a few per cent of the files."""
    parts = (('images', without_label), ('labels', without_image))
    if all(len(left) <= LEFT_OUT * (found + len(left)) for _, left in parts):
        return
    told = '; '.join(f'{len(left)} {kind} are unpaired, such as {", ".join(left[:3])}' for kind, left in parts if left)
    raise UserError(
        f'{found} images of {images} have a label in {labels}; {told}: set the word that differs with '
        f'{pair_option(option)} rgb=sem, set the ends of the names with {option}-image-suffix and '
        f'{option}-label-suffix, or pass --allow-unpaired'
    )
