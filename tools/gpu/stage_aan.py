"""Stage c: AAN's seconds per image for each recipe, on noise at 1280×720."""

import torch
from benchmark_aan import timed
from kit import ROOT, Results, arguments
from mmengine.config import Config

from mmseg_adapt.style import AppearanceAdapter, style_of
from mmseg_adapt.style.colour import colour_gram, recoloured
from mmseg_adapt.style.job import RenderJob

RECIPES = {  # name → arguments of AppearanceAdapter, images at once; one line per row
    'paper': (dict(), 1),
    'fast': (dict(fast=True), 1),
    'quick': (dict(fast='quick'), 1),
    'quick, 4 at once': (dict(fast='quick'), 4),
}


def job_of(device: str) -> tuple[RenderJob, str]:
    """AAN with VGG-16 and the colour layer, with the weights that exist, and the name of the weights."""
    cfg = Config.fromfile(ROOT / 'configs/_base_/aan/carla2camvid_vgg16.py').aan.to_dict()
    if (ROOT / cfg['encoder']['init_cfg']['checkpoint']).exists():
        return RenderJob.from_config(cfg, device), 'edges'
    cfg['encoder'].pop('init_cfg')
    return RenderJob.from_config(cfg, device), 'random weights'


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    results = Results(args.out, 'aan')
    job, weights = job_of(args.device)
    height, width = (48, 64) if args.tiny else (720, 1280)
    generator = torch.Generator().manual_seed(0)
    source, *pool = (255 * torch.rand(1, 3, height, width, generator=generator).to(args.device) for _ in range(5))
    style = style_of(job.encoder, pool)
    few = dict(levels=((1.0, 3),)) if args.tiny else {}
    timed(lambda: job.encoder(source), args.device)  # warm up
    for name, (recipe, count) in RECIPES.items():
        name = f'{name}, VGG-16, {weights}'
        with results.row(name):
            adapter = AppearanceAdapter(job.encoder, job.objective, **recipe, **few)
            images = source.repeat(count, 1, 1, 1)
            rendered, seconds = timed(lambda adapter=adapter, x=images: adapter.render(x, style), args.device)
            per_image = dict(seconds=seconds / count, evaluations=rendered.evaluations // count)
            results.add(name=name, **per_image, objective=rendered.objective.mean().item(), size=[width, height])
    with results.row('colour map'):
        target = sum(colour_gram(image) for image in pool)[0] / len(pool)
        recoloured(source, target)  # warm up
        _, seconds = timed(lambda: recoloured(source, target), args.device)
        results.add(name='colour map', seconds=seconds, evaluations=0, objective=None, size=[width, height])


if __name__ == '__main__':
    main()
