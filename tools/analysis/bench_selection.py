"""Evaluate label-free scores on work dirs with target labels: rules of selection, and the alarm for harm.

    python tools/analysis/bench_selection.py pools --pool demo work_dirs/demo/* --pool camvid work_dirs/carla2camvid_*
    python tools/analysis/bench_selection.py runs docs/results/*.jsonl
    python tools/analysis/bench_selection.py harm FOLDER_OF_SPOIL… [--fit 0 1]
    python tools/analysis/bench_selection.py cost WORK_DIR

``pools``: the rank correlation of every score with the true mIoU, per pool; and of every rule of selection the mIoU
lost to the best, how often it lies below the pool's mean, the worst case, and which part of what lies between last and
best it recovers, over the pools of several runs, and over the runs alone. ``runs``: what the pick within a
run is worth, from stored results (``summarize.py --json``). ``harm``: recall and false alarms of every symptom and of
all; with ``--fit 0 1``, the limits are fitted to the runs of these seeds and measured on the runs of the others.
``cost``: seconds beside the bare forward passes. ``--json FILE`` keeps what was measured; ``--from FILE`` evaluates it
again.
"""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path

import numpy as np
from summarize import stored

from mmseg_adapt.errors import UserError, one_sentence
from mmseg_adapt.selection.compare import Comparison, compare
from mmseg_adapt.selection.harm import Limits, measures, symptoms
from mmseg_adapt.selection.pool import Pool, take
from mmseg_adapt.selection.rule import BETTER, Scores, last_of_each, pick
from mmseg_adapt.selection.scores import rank_correlation

Rule = Callable[[list[Scores], list[str]], list[int]]  # the snapshots that it may pick, all alike
LEAST = 3  # snapshots of a pool
LOGGED = {'flip', 'infomax'}  # scores that LabelFreeHook logs, as summarize.py stores them
MEASURES = tuple(field.name for field in fields(Limits))


# -------------------------------------------------------------------------------------------------------------- rules


def by(score: str) -> Rule:
    """The snapshot that is best by one score."""

    def rule(scores: list[Scores], runs: list[str]) -> list[int]:
        values = np.array([getattr(s, score) for s in scores]) * (1 if BETTER[score] else -1)
        return [] if np.isnan(values).any() else [int(values.argmax())]

    return rule


def last(scores: list[Scores], runs: list[str]) -> list[int]:
    """The last snapshot of each run, one as good as another: what is done today."""
    return last_of_each(runs)


def guarded(scores: list[Scores], runs: list[str]) -> list[int]:
    """Flip consistency, among the snapshots whose agreement with the pool's average is at least the median."""
    least = np.median([s.agreement for s in scores])
    return [max((i for i, s in enumerate(scores) if s.agreement >= least), key=lambda i: scores[i].flip)]


def rank_sum(scores: list[Scores], runs: list[str]) -> list[int]:
    """The best by the sum of the ranks in agreement and flip consistency."""
    ranks = [np.argsort(np.argsort([getattr(s, name) for s in scores])) for name in ('agreement', 'flip')]
    return [int(sum(ranks).argmax())]


def every(scores: list[Scores], runs: list[str]) -> list[int]:
    return list(range(len(scores)))


RULES: dict[str, Rule] = {
    'default': lambda scores, runs: [pick(scores, runs)],
    'last': last,
    'flip, guarded by agreement': guarded,
    'rank sum': rank_sum,
    'chance': every,
    **{name: by(name) for name in BETTER},
}


def verdict(scores: list[Scores], runs: list[str], rule: Rule) -> dict[str, float] | None:
    """What a rule's pick is worth, in mIoU; of several alike, the mean."""
    miou = 100 * np.array([s.miou for s in scores])
    picks = rule(scores, runs)
    if not picks:
        return None
    value, best, from_last = miou[picks].mean(), miou.max(), miou[last(scores, runs)].mean()
    return dict(
        regret=best - value,
        below=float((miou[picks] < miou.mean() - 1e-9).mean()),
        over_last=value - from_last,
        to_gain=best - from_last,
        over_worst=value - miou.min(),
    )


# -------------------------------------------------------------------------------------------------------------- pools


def measure_pools(args: Namespace) -> list[dict]:
    """A row of scores per snapshot, with its pool, its run and its true mIoU."""
    rows = []
    for name, *work_dirs in args.pool:
        result = compare(work_dirs, args.target, args.images, labels=True)
        print(*result.notes, sep='\n')
        rows += [dict(pool=name, run=run, **s.as_dict()) for s, run in zip(result.scores, result.runs)]
    return rows


def stored_runs(file: Path) -> list[list[Scores]]:
    """The snapshots of every run of a file of ``summarize.py --json`` with at least three scored ones."""
    unknown = dict.fromkeys(BETTER, float('nan'))
    runs = [
        [
            Scores(**{**unknown, **{k: s[k] for k in LOGGED}, 'name': '', 'miou': s['mIoU'] / 100})
            for s in run['snapshots']
        ]
        for rows in stored(file).values()
        for run in rows
        if all(s.keys() >= LOGGED for s in run['snapshots'])
    ]
    runs = [run for run in runs if len(run) >= LEAST]
    if not runs:
        raise UserError(f'{file} contains no run of {LEAST} snapshots that LabelFreeHook scored')
    return runs


def run_table(files: list[Path]) -> str:
    """Markdown: what the pick within a run is worth, per file and over all, beside a pick by flip consistency."""
    counts = ('below the mean', 'below last', 'recovered')
    head = ('file', 'runs', 'last', 'picked', 'best', *counts, 'picked by flip', 'recovered by flip')
    lines, every_run = row(*head, head=True), []
    for name, runs in [*((file.name, stored_runs(file)) for file in files), ('all', every_run)]:
        if name != 'all':
            every_run += runs
        miou = [[100 * s.miou for s in run] for run in runs]
        picks = [(m[pick(run, [''] * len(run))], m[by('flip')(run, [])[0]]) for m, run in zip(miou, runs)]
        picked, flip = np.array(picks).T
        last_, best, mean = np.array([(m[-1], max(m), np.mean(m)) for m in miou]).T
        below = [f'{(picked < other - 1e-9).sum()}' for other in (mean, last_)]
        ours, theirs = (share((x - last_).mean(), (best - last_).mean()) for x in (picked, flip))
        values = [f'{x.mean():.1f}' for x in (last_, picked, best, flip)]
        lines += row(name, len(runs), *values[:3], *below, ours, values[3], theirs)
    return '\n'.join(lines)


def groups(rows: Iterable[dict], key: str) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found


def tables(rows: list[dict]) -> str:
    """Markdown: what the default rule is worth, and the rank correlation of every score, per pool of several runs; then
    every rule over these pools, and over the runs of at least three snapshots, each as a pool of its own."""
    pools = {name: Measured(own) for name, own in groups(rows, 'pool').items() if len({r['run'] for r in own}) > 1}
    once = {(row['run'], row['name']): row for row in rows}.values()  # a run may be in several pools
    runs = {name: Measured(own) for name, own in groups(once, 'run').items() if len(own) >= LEAST}
    lines = row('pool', 'snapshots', 'last', 'picked', 'best', 'recovered', 'mean', 'worst', *BETTER, head=True)
    for name, pool in pools.items():
        last_, picked, best = pool.last, pool.miou[pool.pick], pool.miou.max()
        ends = (f'{x:.1f}' for x in (last_, picked, best))
        others = (f'{x:.1f}' for x in (pool.miou.mean(), pool.miou.min()))
        rhos = (f'{rho:+.2f}' for rho in pool.correlations())
        lines += row(name, len(pool.miou), *ends, share(picked - last_, best - last_), *others, *rhos)
    if runs:
        known = ([rho for rho in column if rho == rho] for column in zip(*(r.correlations() for r in runs.values())))
        rhos = (sum(column) / len(column) if column else float('nan') for column in known)
        lines += row(f'{len(runs)} runs, mean', *('',) * 7, *(f'{rho:+.2f}' for rho in rhos))
    for title, found in (('pools of several runs', pools), ('single runs', runs)):
        lines += ['', f'{len(found)} {title}:', ''] + rule_table(list(found.values())) if found else []
    return '\n'.join(lines)


class Measured:
    """The scored snapshots of a pool, with their true mIoU in percent."""

    def __init__(self, rows: list[dict]) -> None:
        self.scores = [Scores(**{k: v for k, v in r.items() if k not in ('pool', 'run')}) for r in rows]
        self.runs, self.miou = [r['run'] for r in rows], 100 * np.array([r['miou'] for r in rows])
        self.pick, self.last = pick(self.scores, self.runs), self.miou[last(self.scores, self.runs)].mean()

    def correlations(self) -> list[float]:
        """Of every score with the true mIoU; positive where the score points to the better snapshot."""
        return [
            rank_correlation([getattr(s, k) * (1 if more else -1) for s in self.scores], self.miou)
            for k, more in BETTER.items()
        ]


def rule_table(pools: list[Measured]) -> list[str]:
    head = ('rule', 'pools', 'mean regret', 'worst regret', 'below the mean', 'recovered of last → best', 'over worst')
    lines = row(*head, head=True)
    for name, rule in RULES.items():
        verdicts = [v for pool in pools if (v := verdict(pool.scores, pool.runs, rule))]
        lines += row(name, *summary(verdicts)) if verdicts else []
    return lines


def summary(verdicts: list[dict[str, float]]) -> tuple:
    mean = {key: float(np.mean([v[key] for v in verdicts])) for key in verdicts[0]}
    recovered = share(mean['over_last'], mean['to_gain'])
    worst, least = max(v['regret'] for v in verdicts), min(v['over_worst'] for v in verdicts)
    below = f'{100 * mean["below"]:.0f} %'
    return len(verdicts), f'{mean["regret"]:.2f}', f'{worst:.1f}', below, recovered, f'{least:.1f}'


def share(part: float, whole: float) -> str:
    return f'{100 * part / whole:.0f} %' if whole > 1e-9 else '–'


def row(*cells: object, head: bool = False) -> list[str]:
    line = f'| {" | ".join(map(str, cells))} |'
    return [line, '|---' * len(cells) + '|'] if head else [line]


# --------------------------------------------------------------------------------------------------------------- harm


def measure_harm(args: Namespace) -> list[dict]:
    """A row of measures per run of ``FOLDER/{sound,spoilt}/NAME/seedN``: its last snapshot beside that of
    ``FOLDER/baseline/seedN``, and both mIoUs."""
    rows = []
    for run in (run for folder in args.runs for run in sorted(folder.glob('s*/*/seed*'))):
        pair = [newest(run.parents[2] / 'baseline' / run.name), newest(run)]
        try:
            found = compare(pair, args.target, args.images, labels=True)
        except UserError as error:  # the weights are not finite, say
            print(error)
            continue
        before, after = (score.miou for score in found.scores)
        rows.append(dict(run='/'.join(run.parts[-4:]), before=before, after=after, **beside(found)))
    if not rows:
        raise UserError(
            f'no sound or spoilt run in {", ".join(map(str, args.runs))}: train them with tools/analysis/spoil.py'
        )
    return rows


def beside(found: Comparison) -> dict[str, float]:
    notes, scores = found.pool.notes, found.scores
    return measures(notes[1], scores[1], notes[0], scores[0])


def newest(work_dir: Path) -> Path:
    files = sorted(work_dir.glob('iter_*.pth'), key=lambda f: int(f.stem.split('_')[-1]))
    return files[-1] if files else work_dir


def fitted(rows: list[dict], false_alarms: float = 0.1) -> Limits:
    """The lowest limits of which at most this share of the sound runs exceeds any; all are the same quantile."""
    sound = np.nan_to_num([[r[name] for name in MEASURES] for r in rows if is_sound(r)], nan=-np.inf)
    if not len(sound):
        raise UserError('there is no sound run to fit the limits to: train them with tools/analysis/spoil.py')
    ordered = np.sort(sound, axis=0)
    limits = next(level for level in ordered if (sound > level).any(axis=1).mean() <= false_alarms)
    return Limits(*limits.tolist())


def alarms(rows: list[dict], seeds: list[str]) -> str:
    """Without ``seeds``: the table with the limits as they are."""
    ours = [r for r in rows if any(r['run'].endswith(f'seed{seed}') for seed in seeds)]
    return alarm_table([r for r in rows if r not in ours], fitted(ours) if seeds else Limits())


def is_sound(row: dict) -> bool:
    return row['run'].split('/')[-3] == 'sound'


def alarm_table(rows: list[dict], limits: Limits) -> str:
    """Markdown: recall and false alarms of all symptoms, and of each; then every kind of run: what it did to the true
    mIoU, and how often the alarm rang."""
    spoilt = np.array([not is_sound(r) for r in rows])
    alarm = np.array([bool(symptoms(r, limits)) for r in rows])
    lines = row('symptom', 'limit', 'recall', 'false alarms', head=True)
    lines += row('any', '', *rates(alarm, spoilt))
    for name in MEASURES:
        over = np.array([r[name] > getattr(limits, name) for r in rows])
        lines += row(name, f'{getattr(limits, name):.3g}', *rates(over, spoilt))
    lines += ['', *row('kind', 'runs', 'mIoU before', 'after', 'alarms', head=True)]
    for kind in dict.fromkeys(r['run'].rsplit('/', 1)[0] for r in rows):
        own = [i for i, r in enumerate(rows) if r['run'].rsplit('/', 1)[0] == kind]
        before, after = (f'{100 * np.mean([rows[i][key] for i in own]):.1f}' for key in ('before', 'after'))
        lines += row(kind, len(own), before, after, int(alarm[own].sum()))
    return '\n'.join(lines)


def rates(alarm: np.ndarray, spoilt: np.ndarray) -> tuple[str, str]:
    return tuple(
        f'{100 * alarm[kind].mean():.0f} % of {kind.sum()}' if kind.any() else '–' for kind in (spoilt, ~spoilt)
    )


# --------------------------------------------------------------------------------------------------------------- cost


def measure_cost(args: Namespace) -> str:
    """CPU seconds of the process for one snapshot's pass, beside those of its forward passes alone.

    The forward passes are those that the pass makes: an image with its mirror image, and a mixture, each as a batch
    through ``test_step``; loading the images is in neither.
    """
    from mmseg_adapt.files.config import config_of
    from mmseg_adapt.predictor import Predictor
    from mmseg_adapt.selection.samples import target_images
    from mmseg_adapt.selection.snapshots import snapshots_of
    from mmseg_adapt.selection.views import predict

    snapshot = snapshots_of(args.work_dir)[0][-1]
    predictor = Predictor(snapshot.config, snapshot.file)
    paths, _ = target_images([config_of(str(snapshot.config))], args.target, args.images)
    samples = {path: predictor.read(path) for path in paths}
    predictor.read = samples.__getitem__
    inputs = [(sample['inputs'], sample['data_samples'].metainfo) for _, sample, _ in samples.values()]

    def bare() -> None:
        for x, meta in inputs:
            predict(predictor.segmentor, [x, x.flip(-1)], [meta, meta])
            predict(predictor.segmentor, [x], [meta])

    def ours() -> None:
        pool = Pool(predictor.classes)
        for _ in range(2):  # the second adds to the sum, as all but the first do
            take(pool, snapshot, predictor, paths, [])

    bare()  # warm
    seconds = [[timed(f) for f in (bare, ours)] for _ in range(args.rounds)]
    plain, whole = np.median(seconds, axis=0) / (1, 2)
    return (
        f'{len(paths)} images: forward passes {plain:.2f} CPU s, select {whole:.2f} CPU s per snapshot, '
        f'{whole / plain:.2f} times'
    )


def timed(function: Callable[[], None]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def main() -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    pools, runs, harm, cost = (commands.add_parser(name) for name in ('pools', 'runs', 'harm', 'cost'))
    pools.add_argument('--pool', nargs='+', action='append', default=[], metavar=('NAME', 'WORK_DIR'))
    runs.add_argument('files', nargs='+', type=Path, metavar='FILE')
    harm.add_argument('runs', nargs='*', type=Path, metavar='FOLDER', help='folders as spoil.py --out writes them')
    harm.add_argument('--fit', nargs='+', metavar='SEED', default=[], help='fit the limits to the runs of these seeds')
    cost.add_argument('work_dir', nargs=1)
    cost.add_argument('--rounds', type=int, default=3)
    for command in (pools, harm, cost):
        command.add_argument('--images', type=int, default=100)
        command.add_argument('--target', help="target images (default: the configs' own)")
    for command in (pools, harm):
        command.add_argument('--json', type=Path, help='also write the measurements to this file, a line each')
        command.add_argument('--from', dest='stored', type=Path, help='read a file of --json instead of work dirs')
    args = parser.parse_args()
    if args.command == 'cost':
        return print(measure_cost(args))
    print(run_table(args.files) if args.command == 'runs' else measured_table(args))


def measured_table(args: Namespace) -> str:
    if args.stored:
        rows = rows_in(args.stored)
    else:
        rows = measure_pools(args) if args.command == 'pools' else measure_harm(args)
    if args.json:
        args.json.write_text(''.join(json.dumps(rounded(row)) + '\n' for row in rows))
    return tables(rows) if args.command == 'pools' else alarms(rows, args.fit)


def rows_in(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding='utf-8').splitlines()]


def rounded(row: dict) -> dict:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


if __name__ == '__main__':
    with one_sentence():
        main()
