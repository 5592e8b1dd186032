"""Measure how far images are from the target domain, layer by layer, before and after rendering.

``python tools/analysis/style_distance.py STORE --source FOLDER --target FOLDER [--config CONFIG]``

Statistics are the mean and the standard deviation of each channel over an image. The distance of an image to the target
is | its statistic − that of the target pool | in units of the statistic's spread over target images, averaged over
channels and images. For a target image it is about 0.8 (the mean of |z| for a normal variable).
"""

from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from mmengine.config import DictAction
from prettytable import PrettyTable, TableStyle

from mmseg_adapt.cli.launch import read_config
from mmseg_adapt.errors import UserError, one_sentence
from mmseg_adapt.style.job import RenderJob
from mmseg_adapt.style.reading import images_in
from mmseg_adapt.style.store import RenderStore

Statistics = dict[str, torch.Tensor]  # layer → (images, 2, channels)


@torch.no_grad()
def channel_statistics(encoder: Callable, image: torch.Tensor) -> dict[str, torch.Tensor]:
    """Layer → mean and standard deviation of each channel over one image: (2, channels)."""
    maps = {name: maps[0].flatten(1) for name, maps in encoder(image).items()}
    return {name: torch.stack([flat.mean(1), flat.std(1)]) for name, flat in maps.items()}


def statistics_of(job: RenderJob, files: Iterable[Path], role: str) -> Statistics:
    rows = [channel_statistics(job.encoder, job.load(file, role)) for file in files]
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def distance(images: torch.Tensor, target: torch.Tensor) -> tuple[float, float]:
    """Distance of means, and of standard deviations, without channels that are constant over the target pool."""
    spread = target.std(0)
    z = (images - target.mean(0)).abs() / spread
    return tuple(z[:, i][:, spread[i] > 0].mean().item() for i in (0, 1))


def table_of(before: Statistics, after: Statistics, target: Statistics) -> PrettyTable:
    table = PrettyTable(['layer', 'statistic', 'source', 'renders', 'target'])
    table.set_style(TableStyle.MARKDOWN)
    table.align = 'r'
    table.align['layer'] = table.align['statistic'] = 'l'
    for name in target:
        rows = zip(*(distance(images[name], target[name]) for images in (before, after, target)))
        for statistic, values in zip(('mean', 'deviation'), rows):
            table.add_row([name, statistic, *(f'{value:.2f}' for value in values)])
    return table


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('store', type=Path, help='a store of renders')
    parser.add_argument('--source', type=Path, required=True, help='folder of the rendered images')
    parser.add_argument('--target', type=Path, required=True, help='folder of the images that define the style')
    parser.add_argument(
        '--config', help='measure with the aan.encoder of this config (default: the encoder of the store)'
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    parser.set_defaults(launcher='none', work_dir=None, local_rank=0)
    args = parser.parse_args()

    settings = RenderStore(args.store).manifest()['settings']
    if args.config:
        aan = read_config(args).to_dict().get('aan') or {}
        settings = dict(aan, content=settings['content'], style=settings['style'])
        job = RenderJob.from_config(settings, 'cpu')
    else:
        job = RenderJob.from_settings(settings, 'cpu')
    renders = images_in(args.store, 'STORE')
    sources = images_in(args.source, '--source')
    if unknown := sorted(set(renders) - set(sources)):
        raise UserError(f'{args.source} has no image {unknown[0]}: set --source to the folder that was rendered')
    before = statistics_of(job, (sources[name] for name in renders), 'content')
    after = statistics_of(job, renders.values(), 'content')
    target = statistics_of(job, images_in(args.target, '--target').values(), 'style')
    print(f'{len(renders)} renders, {type(job.encoder).__name__}')
    print(table_of(before, after, target))


if __name__ == '__main__':
    with one_sentence():
        main()
