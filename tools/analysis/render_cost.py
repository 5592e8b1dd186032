"""Count the floating-point operations to render a whole data set. It needs no images and no GPU.

``python tools/analysis/render_cost.py configs/_base_/aan/gta2cs.py --size 1280 720 --images 24966 --tflops 50``

Counts one gradient at every level of a recipe. Hours follow from ``--tflops``, the assumed sustained rate of a GPU:
pass the rate that you measure. A plateau may end a recipe earlier; line searches add about 5 %.
"""

from argparse import ArgumentParser

import torch
from markdown_table import markdown
from mmengine.config import DictAction
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from mmseg_adapt.cli.launch import read_config
from mmseg_adapt.errors import one_sentence
from mmseg_adapt.style import FAST, PAPER, QUICK, Objective, Recipe, Style


def gradient_flops(aan: dict, width: int, height: int) -> int:
    """Floating-point operations of the objective and its gradient for one image. A multiplication and an addition are
    two."""
    objective = Objective(**aan.get('objective') or {})
    with FakeTensorMode():  # shapes without data
        encoder = MODELS.build({k: v for k, v in aan['encoder'].items() if k != 'init_cfg'}).requires_grad_(False)
        image = torch.zeros(1, 3, height, width)
        content = encoder(image)
        style = Style({name: maps.new_zeros(maps.shape[1], maps.shape[1]) for name, maps in content.items()})
        with FlopCounterMode(display=False) as counter:
            objective(encoder(image.requires_grad_()), content, style).sum().backward()
    return counter.get_total_flops()


def image_flops(aan: dict, recipe: Recipe, width: int, height: int) -> int:
    """Operations of one render: every iteration of every level."""
    return sum(n * gradient_flops(aan, round(scale * width), round(scale * height)) for scale, n in recipe.levels)


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='a config with an aan section')
    parser.add_argument('--size', type=int, nargs=2, default=(1280, 720), metavar=('WIDTH', 'HEIGHT'))
    parser.add_argument(
        '--images', type=int, default=24966, help='number of images in the data set (default: that of GTA5)'
    )
    parser.add_argument(
        '--tflops', type=float, default=50.0, help='operations that the GPU sustains, in 10^12 per second'
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='e.g. aan.objective.alpha=2')
    parser.set_defaults(launcher='none', work_dir=None, local_rank=0)
    args = parser.parse_args()
    init_default_scope('mmseg')
    aan = read_config(args).to_dict()['aan']
    rows = []
    for name, recipe in dict(paper=PAPER, fast=FAST, quick=QUICK).items():
        flops = image_flops(aan, recipe, *args.size)
        hours = flops * args.images / (args.tflops * 1e12) / 3600
        rows.append([name, sum(n for _, n in recipe.levels), f'{flops / 1e12:.1f}', f'{hours:.1f}'])
    one = gradient_flops(aan, *args.size) / 1e9
    print(f'one gradient at {args.size[0]}×{args.size[1]}: {one:.0f} GFLOP; {args.images} images')
    print(markdown(['recipe', 'gradients', 'TFLOP per image', f'hours at {args.tflops:g} TFLOP/s'], rows))


if __name__ == '__main__':
    with one_sentence():
        main()
