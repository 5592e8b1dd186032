"""Predict the sample once per snapshot, and keep label maps, areas and a few sums.

The pool's average needs no second pass: the probabilities of each image are summed over the snapshots as they arrive.
Memory is one network, one float32 per class and compared pixel (:data:`~mmseg_adapt.selection.views.PIXELS`) of the
sample, and one byte per compared pixel and snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from mmseg.models import EncoderDecoder
from torch import Tensor

from ..errors import UserError
from ..predictor import Predictor
from .samples import Sample
from .scores import areas, infomax, points_of, soft_neighbourhood_density
from .snapshots import Snapshot
from .views import both_ways, labels_of, mixture, predict


@dataclass
class Notes:
    """The results of one snapshot on the sample; the first dimension is images."""

    name: str
    labels: list[Tensor] = field(default_factory=list)  # (h, w) uint8 each
    flip: np.ndarray | None = None  # (images, 2, C)
    mix: np.ndarray | None = None  # (pairs, 2, C)
    p: np.ndarray | None = None  # (images, C) probabilities, summed over the pixels of each image
    uncertain: np.ndarray | None = None  # (images,) entropy, summed in the same way
    shares: np.ndarray | None = None  # (C,) class shares of the predicted pixels
    entropy: float = float('nan')
    infomax: float = float('nan')
    snd: float = float('nan')
    source: np.ndarray | None = None  # (2, C)
    truth: np.ndarray | None = None  # (2, C)


@dataclass
class Pool:
    """The notes of the snapshots, and the sum of their probabilities for each image, (C, h, w)."""

    classes: list[str]
    notes: list[Notes] = field(default_factory=list)
    total: list[Tensor] = field(default_factory=list)

    def consensus(self) -> list[Tensor]:
        """The most probable class of the average, (h, w) uint8 per image."""
        return [p.argmax(0).to(torch.uint8) for p in self.total]

    def add(self, notes: Notes, number: int, p: Tensor) -> None:
        """Raises: UserError: the prediction differs in size from those of the earlier snapshots."""
        if not self.notes:
            self.total.append(p.cpu())
        elif self.total[number].shape != p.shape:
            raise UserError(
                f'{notes.name} predicts maps of {_size(p)}, but {self.notes[0].name} {_size(self.total[number])}: '
                'compare runs with the same test pipeline'
            )
        else:
            self.total[number] += p.cpu()


def _size(p: Tensor) -> str:
    return f'{p.shape[-1]}×{p.shape[-2]} compared pixels'


def take(pool: Pool, snapshot: Snapshot, predictor: Predictor, images: list[str], source: list[Sample]) -> Notes:
    """Predict the sample with one snapshot, and add it to the pool.

    This takes three forward passes per target image (the image and its mirror image as one batch, then a ClassMix with
    the previous image) and one per source sample.

    Raises:
        UserError: classes or sizes differ from those of the earlier snapshots (named).
    """
    check_classes(pool, snapshot, predictor.classes)
    notes, count = Notes(snapshot.name), len(pool.classes)
    flips, mixes, sums, shares, densities, before = [], [], [], [], [], None
    for number, image in enumerate(images):
        sample = predictor.read(image)[1]
        view, mirrored = both_ways(predictor.segmentor, sample['inputs'], sample['data_samples'].metainfo)
        flips.append(areas(view.labels, mirrored, count))
        if before is not None and (pair := mixture(predictor.segmentor, view, before, number)) is not None:
            mixes.append(areas(*pair, count))
        notes.labels.append(view.labels.to(torch.uint8).cpu())
        pool.add(notes, number, view.p)
        sums.append(view.sums())
        shares.append(np.bincount(notes.labels[-1].flatten().numpy(), minlength=count))
        densities.append(soft_neighbourhood_density(points_of(view.p)))
        before = view
    notes.flip, notes.mix = np.stack(flips), np.stack(mixes) if mixes else None
    notes.p, notes.uncertain = map(np.array, zip(*sums))
    notes.shares, notes.snd = sum(shares) / np.sum(shares), float(np.mean(densities))
    notes.entropy = float(notes.uncertain.sum() / notes.p.sum())
    notes.infomax = float(infomax(notes.p.sum(0), notes.uncertain.sum()))
    notes.source = labelled_areas(predictor.segmentor, source, count) if source else None
    pool.notes.append(notes)
    return notes


def check_classes(pool: Pool, snapshot: Snapshot, classes: list[str]) -> None:
    """Raises: UserError: the classes differ from the pool's."""
    if list(classes) != list(pool.classes):
        first = pool.notes[0].name if pool.notes else 'the first'
        raise UserError(
            f'{snapshot.name} predicts {", ".join(classes)}, but {first} predicts {", ".join(pool.classes)}: compare '
            'snapshots with the same classes'
        )


def labelled_areas(segmentor: EncoderDecoder, samples: Iterable[Sample], classes: int) -> np.ndarray:
    """(2, C): areas of predictions and labels, for labelled samples."""
    total = np.zeros((2, classes))
    for sample in samples:
        (found,) = predict(segmentor, [sample['inputs']], [sample['data_samples'].metainfo])
        labels = sample['data_samples'].gt_sem_seg.data[0].to(found.pred_sem_seg.data.device)
        total += areas(labels_of(found), labels, classes)
    return total
