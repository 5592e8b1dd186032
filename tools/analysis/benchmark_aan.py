"""What a render costs: the paper's recipe against ``fast=True``, and an iteration against a naive loop.

``python tools/analysis/benchmark_aan.py configs/_base_/aan/vgg16_hed.py --source FOLDER --target FOLDER``

Prints two tables and asserts nothing. Seconds are CPU seconds of this process on the CPU, else seconds on the clock.
"""

import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from markdown_table import markdown
from mmengine.config import DictAction
from prettytable import PrettyTable
from torch.nn.functional import interpolate

from mmseg_adapt.cli.launch import read_config
from mmseg_adapt.errors import one_sentence
from mmseg_adapt.style import AppearanceAdapter, Style, gram_matrix, style_of
from mmseg_adapt.style.job import RenderJob
from mmseg_adapt.style.reading import images_in
from mmseg_adapt.style.solvers import value_and_gradient


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


def recipe_rows(job: RenderJob, source: torch.Tensor, style: Style, recipes: dict[str, dict]) -> Iterator[dict]:
    """One image by each recipe: its name → arguments of AppearanceAdapter."""
    for name, recipe in recipes.items():
        adapter = AppearanceAdapter(job.encoder, job.objective, **recipe)
        rendered, seconds = timed(lambda adapter=adapter: adapter.render(source, style), job.device)
        objective = rendered.objective.item()
        yield dict(name=name, seconds=seconds, evaluations=rendered.evaluations, objective=objective)


def recipes(job: RenderJob, source: torch.Tensor, style: Style, iterations: int) -> PrettyTable:
    """One image by the paper's recipe and by the fast one."""
    paper = {f'paper, {iterations} iterations': dict(levels=((1.0, iterations),))}
    rows, reference = [], None
    for row in recipe_rows(job, source, style, {**paper, 'fast': dict(fast=True)}):
        reference = reference or row
        ratios = [f'{row[key] / reference[key]:.3f}' for key in ('objective', 'seconds')]
        rows.append([row['name'], f'{row["seconds"]:.1f}', row['evaluations'], f'{row["objective"]:.5g}', *ratios])
        print(rows[-1], flush=True)
    return markdown(['recipe', 'seconds', 'gradients', 'objective', 'of the paper’s', 'of its time'], rows)


def iterations(job: RenderJob, source: torch.Tensor, pool: list[torch.Tensor], style: Style, count: int) -> PrettyTable:
    """One gradient of the objective, with what stays the same computed once and every time."""
    with torch.no_grad():
        content = job.encoder(source)

    def ours(x: torch.Tensor) -> torch.Tensor:
        return job.objective(job.encoder(x), content, style)

    def naive(x: torch.Tensor) -> torch.Tensor:
        grams = [{k: gram_matrix(v)[0] / v[0, 0].numel() for k, v in job.encoder(image).items()} for image in pool]
        mean = Style({k: sum(g[k] for g in grams) / len(grams) for k in grams[0]})
        return job.objective(job.encoder(x), job.encoder(source), mean)

    rows = []
    for name, loss in (('naive', naive), ('ours', ours)):
        value_and_gradient(loss, source)  # warm up
        seconds = min(timed(lambda loss=loss: value_and_gradient(loss, source), job.device)[1] for _ in range(count))
        rows.append([name, f'{seconds:.3f}', f'{float(rows[0][1]) / seconds if rows else 1:.1f}'])
    return markdown([f'one iteration, pool of {len(pool)}', 'seconds', 'times as fast'], rows)


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='a config with a section aan')
    parser.add_argument('--source', type=Path, required=True)
    parser.add_argument('--target', type=Path, required=True)
    parser.add_argument('--size', type=int, nargs=2, default=(320, 160), metavar=('WIDTH', 'HEIGHT'))
    parser.add_argument('--pool', type=int, default=8, help='target images, from the whole folder')
    parser.add_argument('--iterations', type=int, default=1000, help="of the paper's recipe; 0 leaves the recipes out")
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='e.g. aan.objective.alpha=2')
    parser.set_defaults(launcher='none', work_dir=None, local_rank=0)
    args = parser.parse_args()

    job = RenderJob.from_config(read_config(args).to_dict().get('aan'), args.device)
    sources, targets = (
        list(images_in(folder, o).values()) for folder, o in ((args.source, '--source'), (args.target, '--target'))
    )
    size = args.size[::-1]
    source = interpolate(job.load(sources[len(sources) // 2], 'content'), size, mode='bilinear')
    chosen = targets[:: max(1, len(targets) // args.pool)][: args.pool]
    pool = [interpolate(job.load(file, 'style'), size, mode='bilinear', antialias=True) for file in chosen]
    style = style_of(job.encoder, pool)
    width, height = args.size
    print(f'{type(job.encoder).__name__} at {width}×{height}, {torch.get_num_threads()} threads, {args.device}')
    print(iterations(job, source, pool, style, count=3), flush=True)
    if args.iterations:
        print(recipes(job, source, style, args.iterations))


if __name__ == '__main__':
    with one_sentence():
        main()
