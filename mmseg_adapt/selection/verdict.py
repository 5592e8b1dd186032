"""What the scores of a pool mean, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from .harm import changed, measures, symptoms, vanished
from .pool import Pool
from .rule import Scores, best_run, certainty_of, last_of_each, pick

NAMES = dict(flip='flip consistency', infomax='InfoMax')
SURE = 0.9  # share of the bootstrap samples in which a pick must stay ahead


def reference_shares(pool: Pool, source_shares: np.ndarray | None) -> np.ndarray:
    """The reference for class shares: the source's shares of the classes in the pool or, if the source is not known,
    the mean of the pool's shares."""
    mean = np.mean([notes.shares for notes in pool.notes], axis=0)
    return mean if source_shares is None else np.where(mean > 0, source_shares, 0)


def words(
    pool: Pool,
    scores: list[Scores],
    runs: list[str],
    source_shares: np.ndarray | None = None,
    baselines: Sequence[int] = (),
) -> list[str]:
    """Sentences: the best run and the pick with their margins, what adaptation changed, lost classes, possible harm.

    Args:
        baselines: the snapshots that were trained on the source only.
    """
    best = pick(scores, runs)
    said = [of_pick(pool, scores, best_run(scores, runs)), *_of_adaptation(pool, scores, runs, best, baselines)]
    if len(lasts := last_of_each(runs)) > 1:
        said.insert(0, f'best run: {_first(pool, scores, lasts, "flip")}')
    if len(pool.notes) < 2:
        said.append('agreement with the pool (EnsV) needs several snapshots')
    return said + of_classes(pool, range(len(scores)), source_shares)


def of_pick(pool: Pool, scores: list[Scores], members: Sequence[int]) -> str:
    """The pick among the snapshots of one run, its margin, and whether there are enough images to tell."""
    return f'pick: {_first(pool, scores, members, "infomax")}'


def _first(pool: Pool, scores: list[Scores], members: Sequence[int], by: str) -> str:
    values = {i: getattr(scores[i], by) for i in members}
    best, *others = sorted(members, key=lambda i: -values[i])
    said = f'{scores[best].name} ({NAMES[by]} {100 * values[best]:.1f})'
    if not others:
        return said
    sure = certainty_of(pool.notes, best, others[0], by)
    doubt = '' if sure >= SURE else ': these images cannot separate the two'
    margin = 100 * (values[best] - values[others[0]])
    return f'{said}, {margin:.1f} above {scores[others[0]].name}; ahead in {100 * sure:.0f} % of resamples{doubt}'


def of_change(pool: Pool, scores: list[Scores], compared: int, baseline: int) -> list[str]:
    """What adaptation changed, and any symptoms of harm."""
    name, base = scores[compared].name, scores[baseline].name
    share = changed(pool.notes[compared], pool.notes[baseline])
    said = [f'adaptation changed {100 * share:.1f} % of the pixels ({name} compared with {base})']
    found = symptoms(measures(pool.notes[compared], scores[compared], pool.notes[baseline], scores[baseline]))
    return [*said, f'{name} may have been harmed: compared with {base}, ' + ', '.join(found)] if found else said


def of_classes(pool: Pool, members: Iterable[int], source_shares: np.ndarray | None) -> list[str]:
    """One sentence for each class that some snapshots no longer predict."""
    reference = reference_shares(pool, source_shares)
    taken = [pool.notes[i] for i in members]
    lost = {notes.name: vanished(notes.shares, reference) for notes in taken}
    said = []
    for index in sorted(set().union(*lost.values())):
        names = [name for name in lost if index in lost[name]]
        largest = max(notes.shares[index] for notes in taken if notes.name in names)
        where = _some(names) if len(names) < len(taken) or len(names) == 1 else f'all {len(names)} snapshots'
        said.append(
            f'class {pool.classes[index]!r} has vanished from the predictions of {where} '
            f'({100 * largest:.2g} % of the pixels, expected about {100 * reference[index]:.2g} %)'
        )
    return said


def _some(names: list[str], most: int = 3) -> str:
    shown = ', '.join(names[:most])
    return shown if len(names) <= most else f'{shown} and {len(names) - most} more snapshots'


def _of_adaptation(pool: Pool, scores: list[Scores], runs: list[str], best: int, baselines: Sequence[int]) -> list[str]:
    adapted = [i for i in range(len(scores)) if i not in baselines]
    if not baselines or not adapted:
        return []

    def pick_of(members: Sequence[int]) -> int:
        return members[pick([scores[i] for i in members], [runs[i] for i in members])]

    baseline, compared = pick_of(baselines), best if best in adapted else pick_of(adapted)
    said, theirs = of_change(pool, scores, compared, baseline), max(scores[i].agreement for i in adapted)
    if scores[baseline].agreement > theirs:
        said.append(
            f'source-only agrees better with the pool ({100 * scores[baseline].agreement:.1f}) than the adapted runs '
            f'({100 * theirs:.1f} at best): adaptation may have hurt'
        )
    return said
