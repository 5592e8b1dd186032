"""What the scores of a pool mean, in words."""

from __future__ import annotations

import numpy as np

from .harm import changed, measures, symptoms, vanished
from .pool import Pool
from .rule import Scores, certainty_of, guarded, pick

SURE = 0.9  # of the samples drawn again in which a pick must stay ahead


def reference_shares(pool: Pool, source_shares: np.ndarray | None) -> np.ndarray:
    """What every snapshot's class shares are compared with: of the classes that the pool shows, the source's shares,
    or, where the source is not known, the mean of the pool's."""
    mean = np.mean([notes.shares for notes in pool.notes], axis=0)
    return mean if source_shares is None else np.where(mean > 0, source_shares, 0)


def words(
    pool: Pool,
    scores: list[Scores],
    runs: list[str],
    source_shares: np.ndarray | None = None,
    baselines: list[int] = (),
) -> list[str]:
    """The pick with its margin, what adaptation changed, what vanished, and whether it may have hurt: a sentence each.

    Args:
        baselines: which snapshots were trained on the source only.
    """
    best = pick(scores, runs)
    said = [_pick(pool, scores, runs, best), *_change(pool, scores, best, baselines)]
    if len(pool.notes) < 2:
        said.append('agreement with the pool (EnsV) needs several snapshots: flip consistency alone is used')
    reference = reference_shares(pool, source_shares)
    for notes in pool.notes:
        for index in vanished(notes.shares, reference):
            said.append(
                f'class {pool.classes[index]!r} has vanished from the predictions of {notes.name} '
                f'({100 * notes.shares[index]:.2g} % of the pixels, expected about {100 * reference[index]:.2g} %)'
            )
    return said


def _pick(pool: Pool, scores: list[Scores], runs: list[str], best: int) -> str:
    said = f'pick: {scores[best].name} (flip consistency {100 * scores[best].flip:.1f})'
    others = [i for i in guarded(scores, runs) if i != best]
    if not others:
        return said
    second = max(others, key=lambda i: scores[i].flip)
    sure = certainty_of(pool.notes, best, second)
    doubt = '' if sure >= SURE else ': these images do not tell the two apart'
    margin = 100 * (scores[best].flip - scores[second].flip)
    return f'{said}, {margin:.1f} above {scores[second].name}; ahead in {100 * sure:.0f} % of resamples{doubt}'


def _change(pool: Pool, scores: list[Scores], best: int, baselines: list[int]) -> list[str]:
    adapted = [i for i in range(len(scores)) if i not in baselines]
    if not baselines or not adapted:
        return []
    baseline = pick([scores[i] for i in baselines], [''] * len(baselines))
    baseline = baselines[baseline]
    compared = best if best not in baselines else max(adapted, key=lambda i: scores[i].flip)
    share = changed(pool.notes[compared], pool.notes[baseline])
    said = [
        f'adaptation changed {100 * share:.1f} % of the pixels ({scores[compared].name} against '
        f'{scores[baseline].name})'
    ]
    found = symptoms(measures(pool.notes[compared], scores[compared], pool.notes[baseline], scores[baseline]))
    if found:
        said.append(
            f'{scores[compared].name} may have been harmed: against {scores[baseline].name} ' + ', '.join(found)
        )
    theirs = max(scores[i].agreement for i in adapted)
    if scores[baseline].agreement > theirs:
        said.append(
            f'source-only agrees better with the pool ({100 * scores[baseline].agreement:.1f}) than the adapted runs '
            f'({100 * theirs:.1f} at best): adaptation may have hurt'
        )
    return said
