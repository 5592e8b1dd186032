"""From notes to scores, and from scores to a pick."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from .pool import Notes, Pool
from .scores import areas, divergence, miou

FEW = 1e-4  # a share of the pixels below which a class is not one that the pool shows
BETTER = dict(  # score → whether more of it is meant to be better
    agreement=True,
    flip=True,
    entropy=False,
    infomax=True,
    snd=True,
    classmix=True,
    divergence=False,
    source=True,
)


@dataclass(frozen=True)
class Scores:
    """One snapshot's. mIoUs and shares are in [0, 1]; NaN is "not computed"."""

    name: str
    agreement: float  # mIoU with the pool's average (EnsV); NaN of one snapshot
    flip: float  # mIoU with its own labels of the mirror images
    entropy: float
    infomax: float
    snd: float
    classmix: float  # mIoU of the labels of mixtures with mixtures of labels
    divergence: float  # of the predicted shares of the classes from the source's
    source: float  # mIoU on source images
    miou: float = float('nan')  # with labels

    def as_dict(self) -> dict:
        return asdict(self)


def scores_of(pool: Pool, source_shares: np.ndarray | None = None) -> list[Scores]:
    """The scores of every snapshot of a pool.

    Consistency is averaged over the classes that the pool's average shows, the same for all snapshots: a snapshot that
    has lost one of them counts 0 there. Agreement likewise.
    """
    consensus, count = pool.consensus(), len(pool.classes)
    shown = sum(np.bincount(labels.flatten().numpy(), minlength=count) for labels in consensus)
    shown = shown / shown.sum() > FEW
    found = []
    for notes in pool.notes:
        agreed = sum(areas(own.long(), labels.long(), count) for own, labels in zip(notes.labels, consensus))
        found.append(
            Scores(
                name=notes.name,
                agreement=miou(agreed, shown) if len(pool.notes) > 1 else float('nan'),
                flip=miou(notes.flip.sum(0), shown),
                entropy=notes.entropy,
                infomax=notes.infomax,
                snd=notes.snd,
                classmix=float('nan') if notes.mix is None else miou(notes.mix.sum(0), shown),
                divergence=float('nan') if source_shares is None else divergence(notes.shares, source_shares),
                source=float('nan') if notes.source is None else miou(notes.source),
                miou=float('nan') if notes.truth is None else miou(notes.truth),
            )
        )
    return found


def guarded(scores: list[Scores], runs: list[str]) -> list[int]:
    """The snapshots that may be picked: of one run, or of fewer than three snapshots, all of them.

    Of several runs, those that agree with the pool's average at least as well as the median does.
    """
    agreement = np.array([s.agreement for s in scores])
    if len(set(runs)) < 2 or len(scores) < 3:
        return list(range(len(scores)))
    return np.flatnonzero(agreement >= np.median(agreement)).tolist()


def pick(scores: list[Scores], runs: list[str]) -> int:
    """The default rule: EnsV guards against the worst, flip consistency picks.

    Within a run, the snapshot of the highest flip consistency. Over several runs flip consistency alone may choose a
    run that is consistent and wrong, and agreement alone prefers the average run: of the snapshots that agree with the
    pool's average at least as well as the median does, the one of the highest flip consistency. The first of equals.

    Args:
        runs: the run of every snapshot.
    """
    return max(guarded(scores, runs), key=lambda i: scores[i].flip)


def certainty_of(notes: list[Notes], chosen: int, other: int, draws: int = 1000) -> float:
    """In which share of samples of as many images, drawn from these with replacement, ``chosen`` has the higher flip
    consistency than ``other``: 1 is sure, 0.5 is chance. mIoU over the classes that either shows."""
    flips = np.stack([notes[i].flip for i in (chosen, other)])  # (2, images, 2, C)
    images = flips.shape[1]
    weights = np.random.default_rng(0).multinomial(images, np.full(images, 1 / images), size=draws)
    intersect, union = np.einsum('dn,snac->asdc', weights, flips)  # (2, draws, C) each
    counted = flips.sum((0, 1))[1] > 0
    a, b = (intersect / np.maximum(union, 1))[..., counted].mean(-1)
    return float((a > b).mean() + (a == b).mean() / 2)
