"""``report.html``: the results of a run on one page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..errors import UserError
from ..predictor import Prediction, Predictor
from ..selection.compare import Comparison, compare
from ..selection.harm import vanished
from ..selection.snapshots import snapshots_of
from ..selection.verdict import of_change, of_classes, of_pick, reference_shares
from ..style.job import fingerprint_of
from . import figures, page
from .folders import Gap, gap_between, picture
from .run import Run, folders_of, has_labels, run_in

SHOWN = 4  # images of each kind


@dataclass(frozen=True)
class Judged:
    """The scored snapshots of a run: the pick, and the newest snapshot of the baseline, if any."""

    found: Comparison
    own: list[int]
    baseline: int | None

    @property
    def best(self) -> int:
        return max(self.own, key=lambda i: self.found.scores[i].infomax)

    def verdict(self) -> list[str]:
        """Two sentences."""
        pool, scores = self.found.pool, self.found.scores
        said = of_pick(pool, scores, self.own)
        if self.baseline is None:
            return [said, 'to see what adaptation changed, pass a source-only run with --baseline']
        change = of_change(pool, scores, self.best, self.baseline)
        return [said, change[1] if self.harmed() else f'{change[0]}; no symptom of harm was seen']

    def harmed(self) -> bool:
        pool, scores = self.found.pool, self.found.scores
        return self.baseline is not None and len(of_change(pool, scores, self.best, self.baseline)) > 1

    def changes(self) -> np.ndarray:
        """Per image, the share of the compared pixels that differ from the baseline's."""
        notes = self.found.pool.notes
        pairs = zip(notes[self.best].labels, notes[self.baseline].labels)
        return np.array([float((a != b).double().mean()) for a, b in pairs])


def judge(run: Run, baseline: str | Path | None, images: int, target: str | None) -> tuple[Judged | None, list[str]]:
    """The scores and notes; None and the reason if no snapshot can be scored."""
    try:
        snapshots, _ = snapshots_of([run.folder])
        others = [snapshots_of([baseline])[0][-1]] if baseline else []
        found = compare(
            [s.file for s in (*others, *snapshots)], target=target, images=images, labels=has_labels(run.cfg)
        )
    except UserError as error:
        return None, [f'the snapshots are not scored: {error}']
    own = list(range(len(others), len(found.snapshots)))
    return Judged(found, own, 0 if others else None), found.notes


def write_report(
    work_dir: str | Path, out: Path, baseline: str | Path | None = None, images: int = 40, target: str | None = None
) -> None:
    """Write the page of a run to ``out``.

    Args:
        baseline: work dir of a source-only run; its newest snapshot is the baseline.
        images: number of target images to predict with each snapshot.
        target: folder of target images; by default the config's own target.

    Raises:
        UserError: the work dir does not exist or has no config. The page omits and lists anything else that is missing.
    """
    run = run_in(work_dir)
    judged, notes = judge(run, baseline, images, target)
    folders = folders_of(run.cfg)
    if target:
        folders['target'] = target
    gap = _gap(folders, notes)
    predictions = _predictions(judged) if judged else []
    sections = [
        _verdict(judged),
        _domains(gap),
        _classes(judged, predictions),
        _training(run, judged),
        _snapshots(judged),
        _images(judged, predictions),
        page.section('What is missing', page.items(notes)),
        _recipe(run, gap),
    ]
    out.write_text(page.page(f'Report of {"/".join(run.folder.resolve().parts[-2:])}', sections), encoding='utf-8')


def _verdict(judged: Judged | None) -> str:
    if judged is None:
        return page.paragraphs(['the run has no snapshot that could be scored'], 'verdict bad')
    said = ' '.join(map(page.whole, judged.verdict()))
    return page.paragraphs([said], 'verdict bad' if judged.harmed() else 'verdict')


def _gap(folders: dict[str, str], notes: list[str]) -> Gap | None:
    try:
        return gap_between(folders['source'], folders['target'], images=100)
    except KeyError as error:
        notes.append(f'the two domains are not compared: the folder of the {error.args[0]} does not exist')
    except UserError as error:
        notes.append(f'the two domains are not compared: {error}')
    return None


def _domains(gap: Gap | None) -> str:
    if gap is None:
        return ''
    sets = {'source': gap.source, 'target': gap.target}
    rows = []
    for name, own in sets.items():
        sizes = sorted({f'{int(w)}×{int(h)}' for w, h in zip(own.numbers['width'], own.numbers['height'])})
        medians = (f'{np.median(own.numbers[key]):.0f}' for key in ('brightness', 'contrast'))
        more = f' and {len(sizes) - 3} more' if len(sizes) > 3 else ''
        rows.append([name, ', '.join(sizes[:3]) + more, *medians, f'{np.median(own.numbers["sharpness"]):.2f}'])
    shown = [
        page.figure(figures.picture(picture(file)[..., ::-1], name), f'{name}: {file.name}')
        for name, own in sets.items()
        for file in own.files[:: max(1, len(own.files) // SHOWN)][:SHOWN]
    ]
    drawn = [
        figures.histograms(key, {name: own.numbers[key] for name, own in sets.items()})
        for key in ('brightness', 'contrast', 'sharpness')
    ]
    said = [gap.told.words(), f'kernel distance {gap.kid[0]:.0f} ± {gap.kid[1]:.0f}']
    head = ['', 'sizes', 'brightness', 'contrast', 'sharpness']
    return page.section(
        'The two domains', page.paragraphs(said), page.table(head, rows), page.grid(shown, 'four'), page.grid(drawn)
    )


def _predictions(judged: Judged) -> list[tuple[str, Prediction]]:
    """The pick's predictions for the compared images. There are few, so they are kept in memory."""
    snapshot = judged.found.snapshots[judged.best]
    predictor = Predictor(snapshot.config, snapshot.file)
    return [(path, predictor(path)) for path in judged.found.images]


def _classes(judged: Judged | None, predictions: list[tuple[str, Prediction]]) -> str:
    if judged is None:
        return ''
    found, notes = judged.found, judged.found.pool.notes[judged.best]
    reference = reference_shares(found.pool, found.source_shares)
    gone, rows, confidence = vanished(notes.shares, reference), [], _confidence(predictions, len(found.pool.classes))
    for index, name in enumerate(found.pool.classes):
        rows.append(
            [
                name,
                _iou(notes.source, index),
                '–' if found.source_shares is None else _percent(found.source_shares[index]),
                _percent(notes.shares[index]),
                '–' if np.isnan(confidence[index]) else _percent(confidence[index]),
                _iou(notes.truth, index),
                'vanished' if index in gone else '',
            ]
        )
    head = ['class', 'source IoU', 'source share', 'predicted share', 'confidence', 'target IoU', '']
    shares = {'predicted on the target': notes.shares}
    if found.source_shares is not None:
        shares = {'labelled on the source': found.source_shares, **shares}
    drawn = page.grid([figures.bars('class shares', found.pool.classes, shares)])
    said = page.items(of_classes(found.pool, [judged.best], found.source_shares))
    return page.section('Class by class, in percent', page.table(head, rows), said, drawn)


def _confidence(predictions: list[tuple[str, Prediction]], classes: int) -> np.ndarray:
    """(C,): mean probability of the pixels predicted as each class; NaN if a class is never predicted."""
    total, pixels = np.zeros(classes), np.zeros(classes)
    for _, p in predictions:
        total += np.bincount(p.labels.ravel(), p.confidence.ravel(), classes)
        pixels += np.bincount(p.labels.ravel(), minlength=classes)
    return np.where(pixels > 0, total / np.maximum(pixels, 1), np.nan)


def _iou(areas: np.ndarray | None, index: int) -> str:
    return '–' if areas is None or areas[1, index] == 0 else _percent(areas[0, index] / areas[1, index])


def _percent(share: float) -> str:
    return f'{100 * share:.1f}'


def _training(run: Run, judged: Judged | None) -> str:
    losses = run.curves('loss')
    losses.pop('loss', None)
    groups: dict[str, dict] = {}
    for name, points in losses.items():
        groups.setdefault(_kind_of_loss(name), {})[name] = points
    groups['teacher'] = {**run.curves('teacher.confident'), **run.curves('.agreement')}  # shares
    groups['student and teacher, mIoU'] = run.curves('teacher_agreement')  # percent
    groups['accuracy of the discriminator'] = run.curves('accuracy')
    mark = (judged.found.snapshots[judged.best].iteration, 'pick') if judged else None
    drawn = [figures.curves(title, series, mark) for title, series in groups.items() if series]
    health = page.items(run.warnings) or page.paragraphs(['no warning about the health of the training was logged'])
    return page.section('Training', health, page.grid(drawn))


def _kind_of_loss(name: str) -> str:
    for word, title in (('loss_adv', 'adversarial loss × λ'), ('loss_dis', 'discriminator loss')):
        if word in name:
            return title
    return 'segmentation losses' if 'loss_ce' in name else 'other losses'


def _snapshots(judged: Judged | None) -> str:
    if judged is None:
        return ''
    found = judged.found
    columns = dict(
        infomax='InfoMax', flip='flip', agreement='agreement', classmix='ClassMix', entropy='entropy', miou='mIoU'
    )
    columns = {k: name for k, name in columns.items() if not np.isnan([getattr(s, k) for s in found.scores]).all()}
    rows = [[s.name, *(_percent(getattr(s, key)) for key in columns)] for s in found.scores]
    steps = [found.snapshots[i].iteration for i in judged.own]
    series = {
        name: list(zip(steps, (100 * getattr(found.scores[i], key) for i in judged.own)))
        for key, name in columns.items()
    }
    mark = (found.snapshots[judged.best].iteration, 'pick')
    drawn = [figures.curves('scores', series, mark)] if len(steps) > 1 else []
    return page.section(
        'Snapshots, in percent', page.table(['', *columns.values()], rows, judged.best), page.grid(drawn)
    )


def _images(judged: Judged | None, predictions: list[tuple[str, Prediction]]) -> str:
    if judged is None:
        return ''
    parts = [page.paragraphs(['the model is uncertain where the entropy is bright'])]
    if judged.baseline is not None:
        changes = judged.changes()
        captions = {int(i): f'{100 * changes[i]:.0f} % changed' for i in np.argsort(-changes)[:SHOWN]}
        parts += ['<h3>Largest change compared with the baseline</h3>', _rows(predictions, captions)]
    means = np.array([p.confidence.mean() for _, p in predictions])
    captions = {int(i): f'mean confidence {100 * means[i]:.0f} %' for i in np.argsort(means)[:SHOWN]}
    parts += ['<h3>Lowest confidence: what to label next</h3>', _rows(predictions, captions)]
    return page.section('Target images', *parts)


def _rows(predictions: list[tuple[str, Prediction]], captions: dict[int, str]) -> str:
    """Image, overlay and entropy for some of the predictions."""
    found = []
    for index, caption in captions.items():
        path, p = predictions[index]
        views = {'image': p.image, 'prediction': p.overlay(), 'entropy': figures.heat(p.entropy)}
        trio = ''.join(page.figure(figures.picture(x, name), name) for name, x in views.items())
        found.append(f'<div><b>{page.escape(Path(path).name)}</b>, {caption}<div class="three">{trio}</div></div>')
    return page.grid(found)


def _recipe(run: Run, gap: Gap | None) -> str:
    import mmengine
    import mmseg

    from .. import __version__

    facts = run.recipe()
    facts['versions used for this report'] = (
        f'mmseg_adapt {__version__}, torch {torch.__version__}, mmengine {mmengine.__version__}, '
        f'mmsegmentation {mmseg.__version__}'
    )
    if gap is not None:
        facts['data'] = '; '.join(
            f'{name} {own.name}, fingerprint of the images compared {fingerprint_of(own.files)}'
            for name, own in (('source', gap.source), ('target', gap.target))
        )
    return page.section('Recipe', page.definitions(facts), page.folded('config', run.cfg.pretty_text))
