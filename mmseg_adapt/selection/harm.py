"""Detect harm without target labels: compare an adapted snapshot with one trained on the source only.

``tools/analysis/bench_selection.py harm`` fits the limits to runs that ``tools/analysis/spoil.py`` trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .pool import Notes
from .rule import FEW, Scores

LOST = 0.01  # a class has vanished if its share is below this fraction of its reference share


@dataclass(frozen=True)
class Limits:
    """The largest changes that do not count as harm.

    Fitted to 42 sound runs on three pairs of domains and rounded; ``changed`` lies above every sound run
    (docs/choosing.md).
    """

    source: float = 0.24  # loss of source mIoU
    flip: float = 0.02  # loss of flip consistency
    changed: float = 0.45  # share of the pixels that are labelled differently
    divergence: float = 0.015  # increase, in bits, of the divergence from the source's class shares
    vanished: float = 2  # number of classes that only the baseline predicts


def changed(notes: Notes, baseline: Notes) -> float:
    """The share, in [0, 1], of the compared pixels that two snapshots label differently."""
    pixels = [(int((a != b).sum()), a.numel()) for a, b in zip(notes.labels, baseline.labels)]
    return sum(differ for differ, _ in pixels) / sum(count for _, count in pixels)


def vanished(shares: np.ndarray, others: np.ndarray, lost: float = LOST) -> list[int]:
    """The classes that occur in ``others`` (C,) and, in ``shares`` (C,), less than ``lost`` times as often."""
    return np.flatnonzero((others > FEW) & (shares < lost * others)).tolist()


def measures(notes: Notes, score: Scores, base_notes: Notes, base: Scores) -> dict[str, float]:
    """Differences between a snapshot and the baseline, one per field of :class:`Limits`. NaN means "not known"."""
    return dict(
        source=base.source - score.source,
        flip=base.flip - score.flip,
        changed=changed(notes, base_notes),
        divergence=score.divergence - base.divergence,
        vanished=float(len(vanished(notes.shares, base_notes.shares))),
    )


def symptoms(found: dict[str, float], limits: Limits = Limits()) -> list[str]:  # noqa: B008 (frozen)
    """One sentence for each measure that exceeds its limit; an empty list means no sign of harm."""
    said = []
    if found['source'] > limits.source:
        said.append(f'it lost {100 * found["source"]:.1f} mIoU on the source')
    if found['flip'] > limits.flip:
        said.append(f'its flip consistency is {100 * found["flip"]:.1f} lower')
    if found['changed'] > limits.changed:
        said.append(f'it labels {100 * found["changed"]:.0f} % of the pixels differently')
    if found['divergence'] > limits.divergence:
        said.append(f'its class shares moved {found["divergence"]:.2f} bits away from those of the source')
    if found['vanished'] > limits.vanished:
        said.append(f'it no longer predicts {found["vanished"]:.0f} of the classes')
    return said
