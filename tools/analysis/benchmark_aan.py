"""Measure what a render costs and how it looks: the source, only its colours, and each AAN recipe, frame by frame.

``python tools/analysis/benchmark_aan.py configs/_base_/aan/carla2camvid.py --source FOLDER --target FOLDER``

Prints tables and asserts nothing. It prints the table of the recipes after every frame, so you can stop it at any time.
The methods alternate on each frame. On the CPU, seconds are CPU seconds of this process; otherwise, wall-clock seconds.
"""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from markdown_table import markdown, put
from mmengine.config import DictAction
from prettytable import PrettyTable
from render_quality import Judge, relative_variation, shift_error
from torch import Tensor
from torch.nn.functional import interpolate

from mmseg_adapt.cli.launch import read_config
from mmseg_adapt.errors import one_sentence
from mmseg_adapt.style import AppearanceAdapter, Style, gram_matrix, style_of
from mmseg_adapt.style.colour import COLOUR, colour_gram, recoloured
from mmseg_adapt.style.job import RenderJob
from mmseg_adapt.style.reading import images_in
from mmseg_adapt.style.render import Rendered
from mmseg_adapt.style.solvers import value_and_gradient

COLUMNS = ('objective', 'seconds', 'gradients', 'variation', 'shift', 'mean', 'deviation')
DIGITS = (3, 2, 0, 2, 1, 2, 2)


def timed(action: Callable, device: str) -> tuple:
    """(result, seconds)."""
    clock = time.process_time if device == 'cpu' else time.time
    if device != 'cpu':
        torch.cuda.synchronize(device)
    started = clock()
    result = action()
    if device != 'cpu':
        torch.cuda.synchronize(device)
    return result, clock() - started


def methods(job: RenderJob, pool: list[Tensor], style: Style, args: Namespace) -> dict[str, Callable]:
    """Name → (image → Rendered). If the encoder has no colour layer, no recipe can start from the colours."""
    colours = sum(colour_gram(image)[0] for image in pool) / len(pool)

    def adapter(smoothness: float = 0.0, **recipe) -> Callable:
        objective = replace(job.objective, smoothness=smoothness)
        rendering = AppearanceAdapter(job.encoder, objective, **recipe)
        return lambda x: rendering.render(x, style)

    named = dict(
        source=lambda x: Rendered(x, None, 0, []),
        colour=lambda x: Rendered(recoloured(x, colours).clamp(0, 255), None, 0, []),
    )
    if COLOUR in job.encoder.layers:
        for start, count in (('colour', 5), ('colour', 10), ('colour', 20), ('best', 20)):
            named[f'{start} + {count}'] = adapter(fast=True, start=start, plateau=0.0, levels=((1.0, count),))
        named['quick'] = adapter(fast='quick')
    named['fast'] = adapter(fast=True)
    if args.smoothness:
        named[f'fast, smoothness {args.smoothness:g}'] = adapter(args.smoothness, fast=True)
    return named | {f'paper, {args.iterations} iterations': adapter(levels=((1.0, args.iterations),))}


def recipes(job: RenderJob, sources: list[Tensor], pool: list[Tensor], style: Style, args: Namespace) -> PrettyTable:
    """Every method on every frame, but the paper's only on the first frames, and the shift only on the first frames and
    without the paper's."""
    judge = Judge(args.judge, pool) if args.judge else lambda image: (torch.nan, torch.nan)
    rows: dict[str, list[list[float]]] = {}
    for i, source in enumerate(sources):
        for name, method in methods(job, pool, style, args).items():
            if (paper := name.startswith('paper')) and i >= args.paper_frames:
                continue
            (image, _, gradients, _), seconds = timed(lambda method=method, x=source: method(x), job.device)
            with torch.no_grad():
                objective = job.objective(job.encoder(image), job.encoder(source), style).item()
            shift = torch.nan
            if i < args.shift_frames and not paper:
                shift = shift_error(lambda x, method=method: method(x).images, source)
            row = [objective, seconds, gradients, relative_variation(image, source), shift, *judge(image)]
            rows.setdefault(name, []).append(row)
        print(f'\n{i + 1} frames', table := table_of(rows), sep='\n', flush=True)
    return table


def table_of(rows: dict[str, list[list[float]]]) -> PrettyTable:
    """Means over a method's frames; objective and seconds also relative to those of ``fast`` on the same frames.
    Columns that were not measured for any method are left out."""
    means = {name: torch.tensor(values).nanmean(0) for name, values in rows.items()}
    measured = [i for i, column in enumerate(torch.stack(list(means.values())).T) if not column.isnan().all()]
    lines = []
    for name, values in rows.items():
        shares = means[name] / torch.tensor(rows['fast'][: len(values)]).nanmean(0)
        cells = ['–' if means[name][i].isnan() else f'{means[name][i]:.{DIGITS[i]}f}' for i in measured]
        lines.append([name, len(values), *cells, *(f'{share:.2f}' for share in shares[:2])])
    return markdown(['', 'frames', *(COLUMNS[i] for i in measured), 'objective of fast', 'seconds of fast'], lines)


def iterations(job: RenderJob, source: Tensor, pool: list[Tensor], style: Style, count: int) -> PrettyTable:
    """One gradient of the objective, with the constant parts computed once and every time."""
    with torch.no_grad():
        content = job.encoder(source)

    def ours(x: Tensor) -> Tensor:
        return job.objective(job.encoder(x), content, style)

    def naive(x: Tensor) -> Tensor:
        grams = [{k: gram_matrix(v)[0] / v[0, 0].numel() for k, v in job.encoder(image).items()} for image in pool]
        mean = Style({k: sum(g[k] for g in grams) / len(grams) for k in grams[0]})
        return job.objective(job.encoder(x), job.encoder(source), mean)

    rows = []
    for name, loss in (('naive', naive), ('ours', ours)):
        value_and_gradient(loss, source)  # warm up
        seconds = min(timed(lambda loss=loss: value_and_gradient(loss, source), job.device)[1] for _ in range(count))
        rows.append([name, f'{seconds:.3f}', f'{float(rows[0][1]) / seconds if rows else 1:.1f}'])
    return markdown([f'one iteration, pool of {len(pool)}', 'seconds', 'times as fast'], rows)


def parse() -> Namespace:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='a config with a section aan')
    parser.add_argument('--source', type=Path, required=True)
    parser.add_argument('--target', type=Path, required=True)
    parser.add_argument('--size', type=int, nargs=2, default=(320, 160), metavar=('WIDTH', 'HEIGHT'))
    parser.add_argument('--pool', type=int, default=40, help='target images, at equal distances')
    parser.add_argument('--frames', type=int, default=1, help='source images, at equal distances')
    parser.add_argument('--paper-frames', type=int, default=1, help="how many of them by the paper's recipe")
    parser.add_argument('--shift-frames', type=int, default=1, help='how many of them are rendered shifted, too')
    parser.add_argument('--iterations', type=int, default=1000, help="of the paper's recipe")
    parser.add_argument('--smoothness', type=float, default=0.0, help='a row of fast with aan.objective.smoothness')
    parser.add_argument('--judge', help='a config whose aan.encoder looks at the renders: another network')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument(
        '--into', nargs=2, metavar=('PAGE', 'TABLE'), help='put the last table between its marks in a page'
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='e.g. aan.objective.alpha=2')
    parser.set_defaults(launcher='none', work_dir=None, local_rank=0)
    return parser.parse_args()


def main() -> None:
    args = parse()
    job = RenderJob.from_config(read_config(args).to_dict().get('aan'), args.device)

    def spread(folder: Path, option: str, role: str, count: int) -> list[Tensor]:
        files = list(images_in(folder, option).values())
        chosen = [files[(2 * i + 1) * len(files) // (2 * count)] for i in range(count)]
        return [interpolate(job.load(f, role), args.size[::-1], mode='bilinear', antialias=True) for f in chosen]

    sources = spread(args.source, '--source', 'content', args.frames)
    pool = spread(args.target, '--target', 'style', args.pool)
    style = style_of(job.encoder, pool)
    size, threads = '×'.join(map(str, args.size)), torch.get_num_threads()
    print(f'{type(job.encoder).__name__} at {size}, pool of {len(pool)}, {threads} threads, {args.device}')
    print(iterations(job, sources[0], pool[:8], style, count=3), flush=True)
    table = recipes(job, sources, pool, style, args)
    if args.into:
        put(Path(args.into[0]), args.into[1], table)


if __name__ == '__main__':
    with one_sentence():
        main()
