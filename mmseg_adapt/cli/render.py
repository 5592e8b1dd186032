"""Render source images in the target's style (FCAN's AAN) into a store that AANStyleTransfer reads.

``python tools/render_aan.py CONFIG --source data/gta/images --target data/cityscapes/leftImg8bit/train --out STORE``

CONFIG contains an ``aan`` section (configs/_base_/aan). Repeat the command to continue after an interruption. Split the
work with ``--shard i/n`` or torchrun. For target images in the source's style, swap --source and --target, and use
another config.
"""

import os
import shlex
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config, DictAction
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from ..errors import UserError
from ..style.job import RenderJob
from ..style.reading import images_in
from ..style.store import RenderStore
from .launch import read_config

CONSOLE = Console(highlight=False, soft_wrap=True)


def shard_of(text: str | None) -> tuple[int, int]:
    """(i, n) of ``--shard i/n``, counted from 0, or this process's share under torchrun."""
    if text is None:
        return int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1))
    try:
        i, n = map(int, text.split('/'))
    except ValueError:
        i, n = 0, 0
    if not 0 <= i < n:
        raise UserError(f'--shard {text}: write i/n with 0 ≤ i < n, e.g. 0/4 … 3/4')
    return i, n


def spread(names: list[str], count: int | None) -> list[str]:
    """``count`` evenly spaced names; doubling the count keeps all of them."""
    if count is None or count >= len(names):
        return names
    if count < 1:
        raise UserError(f'--count {count} must be at least 1')
    return [names[i * len(names) // count] for i in range(count)]


def tracked(items: Iterable, total: int, title: str, size: Callable[[Any], int] = lambda item: 1) -> Generator:
    """The items, with a progress bar that shows the rate and the remaining time; an item counts as ``size`` images."""
    rate = TextColumn('{task.fields[rate]} images/s')
    columns = TextColumn(title), BarColumn(), MofNCompleteColumn(), rate, TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=CONSOLE, speed_estimate_period=3600) as progress:
        task, started = progress.add_task('', total=total, rate='–'), time.time()
        done = 0
        for item in items:
            yield item
            done += size(item)
            progress.update(task, completed=done, rate=f'{done / (time.time() - started):.2f}')


def write_preview(path: Path, job: RenderJob, source: Path, render: np.ndarray, target: Path) -> None:
    """Write source, render and a target image, side by side."""
    height, width = render.shape[:2]
    images = [
        job.load(f, role)[0].permute(1, 2, 0).byte().cpu().numpy()
        for f, role in ((source, 'content'), (target, 'style'))
    ]
    row = [cv2.resize(image, (width, height)) for image in (images[0], render, images[1])]
    cv2.imwrite(str(path), np.hstack(row))


def announce(count: int, seconds: float, size: int, preview: Path) -> None:
    hours = count * seconds / 3600
    total = f'{hours:.1f} hours' if hours >= 1 else f'{60 * hours:.1f} minutes'
    CONSOLE.print(
        f'first image: {seconds:.1f} s, {size / 1024:.0f} KiB; {count} left: about {total} and '
        f'{count * size / 2**20:.0f} MiB here; preview (source, render, target): {preview}'
    )


def batches(images: Iterable[tuple[str, Path, Tensor]], count: int) -> Iterator[tuple]:
    """Names, files and images (N, 3, H, W), N ≤ count, of neighbours that have one size."""
    batch: list[tuple[str, Path, Tensor]] = []
    for item in images:
        if batch and item[2].shape != batch[0][2].shape:
            yield tuple(zip(*batch))
            batch = []
        batch.append(item)
        if len(batch) == count:
            yield tuple(zip(*batch))
            batch = []
    if batch:
        yield tuple(zip(*batch))


def render_all(
    job: RenderJob, store: RenderStore, todo: dict[str, Path], targets: list[Path], batch_size: int
) -> list[str]:
    """Render what is missing. Returns one sentence per image that could not be rendered."""
    style, broken = store.style(), []
    folder = store.folder.resolve()  # so that '.' has a name
    preview = folder.with_name(f'{folder.name}.preview.png')
    announced = False

    def loaded() -> Iterator[tuple[str, Path, Tensor]]:
        for name, file in todo.items():
            if store.holds(name, file):  # another process has rendered it
                continue
            try:
                image = job.load(file, 'content')
            except UserError as error:
                CONSOLE.print(f'skipped: {error}')
                broken.append(str(error))
            else:
                yield name, file, image

    shown = tracked(batches(loaded(), batch_size), len(todo), 'rendering', size=lambda batch: len(batch[0]))
    with closing(shown):  # an error ends the bar
        started = time.time()
        for names, files, images in shown:
            renders = job.render(torch.cat(images), names, style)
            sizes = [store.add(name, image, file, start) for name, file, (image, start) in zip(names, files, renders)]
            if not announced:
                write_preview(preview, job, files[0], renders[0][0], targets[len(targets) // 2])
                announce(len(todo) - len(names), (time.time() - started) / len(names), sizes[0], preview)
                announced = True
    return broken


def gathered(items: list[str]) -> list[str]:
    """The items of all ranks; waits for all ranks."""
    if not torch.distributed.is_initialized():
        return items
    lists: list = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(lists, items)
    return [item for part in lists for item in part]


def parse() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='a config with an aan section')
    parser.add_argument('--source', type=Path, required=True, help='folder of images to render')
    parser.add_argument('--target', type=Path, required=True, help='folder of images that define the style')
    parser.add_argument('--out', type=Path, required=True, help='folder of the renders (the store)')
    parser.add_argument('--paper', action='store_true', help="the paper's recipe: white noise, 1000 iterations")
    parser.add_argument('--batch-size', type=int, default=1, help='render up to this many images of one size at once')
    parser.add_argument('--count', type=int, help='render only this many images, evenly spaced')
    parser.add_argument('--shard', help='i/n renders only every n-th image; i counts from 0, so 0/4 … 3/4')
    parser.add_argument('--device', help='default: the GPU of this process, or cpu')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='e.g. aan.objective.alpha=2')
    return parser


def device_of(name: str | None) -> str:
    if name is None:
        return f'cuda:{os.environ.get("LOCAL_RANK", 0)}' if torch.cuda.is_available() else 'cpu'
    if name != 'cpu' and not torch.cuda.is_available():
        raise UserError(f'--device {name}: PyTorch finds no GPU; remove --device to render on the CPU')
    return name


def check_out(args: Namespace) -> None:
    """Raises: UserError: the store is in an image folder, so a second start would use the renders as images."""
    for option in ('source', 'target'):
        folder = getattr(args, option)
        if args.out.resolve().is_relative_to(folder.resolve()):
            raise UserError(f'--out {args.out} is inside --{option} {folder}: choose a folder outside of it')


def made_with(args: Namespace) -> dict[str, str]:
    """What a message needs to repeat the command."""
    options = ['--paper'] if args.paper else []
    if args.cfg_options:
        options += ['--cfg-options', *(f'{key}={value}' for key, value in args.cfg_options.items())]
    return dict(config=args.config, source=str(args.source), target=str(args.target), options=shlex.join(options))


def main() -> None:
    parser = parse()
    parser.set_defaults(launcher='none', work_dir=None, local_rank=0)
    args = parser.parse_args()
    index, shards = shard_of(args.shard)
    cfg: Config = read_config(args)
    aan = cfg.to_dict().get('aan')
    if aan is not None and args.paper:
        aan.update(fast=False, recipe={})
    if args.batch_size < 1:
        raise UserError(f'--batch-size {args.batch_size} must be at least 1')
    check_out(args)
    sources, targets = images_in(args.source, '--source'), list(images_in(args.target, '--target').values())
    names = spread(list(sources), args.count)
    job = RenderJob.from_config(aan, device_of(args.device))
    if shards > 1 and args.shard is None:  # torchrun
        torch.distributed.init_process_group('gloo', timeout=timedelta(days=30))

    store, settings = RenderStore(args.out), job.settings(targets)
    store.check(settings)
    if index == 0 or args.shard is not None:
        if not store.has_style:  # before the manifest: an unreadable target image leaves no store
            with closing(tracked(targets, len(targets), 'style of the target')) as shown:  # an error ends the bar
                style = job.style_of(targets, lambda _: shown)
        store.create(settings, made_with(args))
        if not store.has_style:
            store.add_style(style)
    gathered([])  # the other ranks wait for the style
    todo = {name: sources[name] for name in names[index::shards] if not store.holds(name, sources[name])}
    CONSOLE.print(f'{store.folder}: {len(names[index::shards]) - len(todo)} rendered, {len(todo)} to render')
    broken = gathered(render_all(job, store, todo, targets, args.batch_size))  # torchrun ends all ranks if one fails
    if broken:
        raise UserError(f'{len(broken)} images were skipped: ' + '; '.join(broken))
