"""From notes to scores, and from scores to a pick."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from .pool import Notes, Pool
from .scores import areas, divergence, infomax, miou

FEW = 1e-4  # classes with a smaller share of the pixels do not count as present in the pool
BETTER = dict(  # score → whether larger should be better
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
    """The scores of one snapshot. mIoUs and shares are in [0, 1]; NaN means "not computed"."""

    name: str
    agreement: float  # mIoU with the pool's average (EnsV); NaN for a single snapshot
    flip: float  # mIoU with its own labels of the mirror images
    entropy: float
    infomax: float
    snd: float
    classmix: float  # mIoU of the labels of mixtures with mixtures of labels
    divergence: float  # between the predicted class shares and the source's
    source: float  # mIoU on source images
    miou: float = float('nan')  # with labels

    def as_dict(self) -> dict:
        return asdict(self)


def scores_of(pool: Pool, source_shares: np.ndarray | None = None) -> list[Scores]:
    """The scores of every snapshot in a pool.

    Consistency and agreement are averaged over the classes in the pool's average, the same for all snapshots. A class
    that a snapshot has lost counts 0.
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


def last_of_each(runs: list[str]) -> list[int]:
    """The last snapshot of each run."""
    return list({run: i for i, run in enumerate(runs)}.values())


def best_run(scores: list[Scores], runs: list[str]) -> list[int]:
    """The snapshots of the run whose last snapshot has the highest flip consistency. Ties: the first.

    Early snapshots do not compete: they may be consistent and poor. InfoMax does not decide between runs: it rewards
    confidence, which self-training raises whether it is right or wrong.
    """
    chosen = runs[max(last_of_each(runs), key=lambda i: scores[i].flip)]
    return [i for i, run in enumerate(runs) if run == chosen]


def pick(scores: list[Scores], runs: list[str]) -> int:
    """The default rule: of the :func:`best_run`, the snapshot with the highest InfoMax. Ties: the first.

    Args:
        runs: the run of each snapshot; a run's snapshots stand in the order of their iterations.
    """
    return max(best_run(scores, runs), key=lambda i: scores[i].infomax)


def certainty_of(notes: list[Notes], chosen: int, other: int, by: str, draws: int = 1000) -> float:
    """The share of bootstrap samples of the images in which ``chosen`` is ahead of ``other``: 1 is certain, 0.5 is
    chance.

    Args:
        by: the score that is compared, ``'flip'`` or ``'infomax'``.
    """
    images, pair = len(notes[chosen].labels), [notes[chosen], notes[other]]
    weights = np.random.default_rng(0).multinomial(images, np.full(images, 1 / images), size=draws)
    a, b = dict(flip=_flips, infomax=_infomaxes)[by](pair, weights)
    return float((a > b).mean() + (a == b).mean() / 2)


def _flips(pair: list[Notes], weights: np.ndarray) -> np.ndarray:
    """(2, draws): flip consistency over the classes that occur in either; ``weights`` is (draws, images)."""
    flips = np.stack([notes.flip for notes in pair])  # (2, images, 2, C)
    intersect, union = np.einsum('dn,snac->asdc', weights, flips)  # (2, draws, C) each
    counted = flips.sum((0, 1))[1] > 0
    return (intersect / np.maximum(union, 1))[..., counted].mean(-1)


def _infomaxes(pair: list[Notes], weights: np.ndarray) -> list[np.ndarray]:
    return [infomax(weights @ notes.p, weights @ notes.uncertain) for notes in pair]
