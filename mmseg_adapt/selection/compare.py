"""Compare the snapshots of runs: samples, one pass per snapshot, scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config

from ..errors import UserError
from ..files.config import config_of
from ..predictor import Predictor
from .pool import Pool, labelled_areas, take
from .rule import Scores, pick, scores_of
from .samples import Sample, labelled_samples, source_samples, target_images
from .snapshots import Snapshot, is_adapted, snapshots_of
from .verdict import words

SOURCE_SAMPLES = 50  # at most: source mIoU is printed as a warning example, and class shares come from whole images


@dataclass(frozen=True)
class Comparison:
    """The pool of some runs, scored."""

    snapshots: list[Snapshot]
    pool: Pool
    scores: list[Scores]
    baselines: list[int]  # snapshots trained on the source only
    source_shares: np.ndarray | None
    images: list[str]
    notes: list[str]  # what was skipped

    @property
    def runs(self) -> list[str]:
        return [str(snapshot.run) for snapshot in self.snapshots]

    def pick(self) -> int:
        return pick(self.scores, self.runs)

    def words(self) -> list[str]:
        """See :func:`~mmseg_adapt.selection.verdict.words`."""
        return words(self.pool, self.scores, self.runs, self.source_shares, self.baselines)


def compare(
    places: Sequence[str | Path],
    target: str | Path | None = None,
    images: int = 100,
    labels: bool = False,
    part: str | None = None,
    device: str | None = None,
    progress: Callable[[list[Snapshot]], Iterable[Snapshot]] = iter,
) -> Comparison:
    """Score the snapshots in work dirs without target labels.

    Args:
        places: work dirs, or checkpoints in them.
        target: folder of target images; by default the target of the first config that has one.
        images: number of target images to predict, evenly spaced.
        labels: also compute the true mIoU on the labelled images of each run's ``test_dataloader``.
        part: ``'teacher'`` to score the teachers.
        progress: wraps the list of snapshots to show the progress.

    Raises:
        UserError: no snapshot or no target image; snapshots with different classes or sizes (named).
    """
    if images < 1:
        raise UserError(f'--images {images} must be at least 1')
    snapshots, notes = snapshots_of(places)
    cfgs = {snapshot.run: config_of(str(snapshot.config)) for snapshot in snapshots}
    paths, there = target_images(list(cfgs.values()), target, images)
    if there < images:
        notes.append(f'the target has only {there} images, not {images}: all are used')
    source = _source(next(iter(cfgs.values())), min(images, SOURCE_SAMPLES), notes)
    pool = None
    for snapshot in progress(snapshots):
        predictor = Predictor(snapshot.config, snapshot.file, device, part)
        pool = pool or Pool(predictor.classes)
        taken = take(pool, snapshot, predictor, paths, source)
        if labels:
            samples = labelled_samples(cfgs[snapshot.run])
            taken.truth = labelled_areas(predictor.segmentor, samples, len(pool.classes))
    shares = _shares(source, len(pool.classes)) if source else None
    baselines = [i for i, snapshot in enumerate(snapshots) if not is_adapted(cfgs[snapshot.run])]
    return Comparison(snapshots, pool, scores_of(pool, shares), baselines, shares, paths, notes)


def _source(cfg: Config, count: int, notes: list[str]) -> list[Sample]:
    try:
        return source_samples(cfg, count)
    except (UserError, FileNotFoundError) as error:
        notes.append(f'source mIoU and class shares are skipped: {error}')
        return []


def _shares(source: list[Sample], classes: int) -> np.ndarray:
    """(C,): class shares of the labelled source pixels."""
    labels = (sample['data_samples'].gt_sem_seg.data.flatten().numpy() for sample in source)
    pixels = sum(np.bincount(values, minlength=256)[:classes] for values in labels)
    return pixels / max(pixels.sum(), 1)
