"""Convert a released DeepLabV2 adaptation model to our format.

``python tools/model_converters/adaptsegnet.py RELEASED.pth OURS.pth --to configs/adaptseg/gta2cs_multilevel.py``

Reads checkpoints of AdaptSegNet, ADVENT and CLAN, and the ImageNet + COCO "DeepLab_resnet_pretrained_init". Prints
which of these the file is, and which tensors are used, unused or missing.
"""

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path

import torch

import mmseg_adapt

from ..errors import UserError
from ..files.config import config_of
from ..files.whole import staged
from ..weights.convert import Conversion, convert, convert_discriminator
from ..weights.load import allow_unsafe, read_checkpoint
from ..weights.parts import SEGMENTOR
from ..weights.segmentor import build_segmentor, dataset_meta

LEVELS = {'discriminator_aux': 'aux', 'discriminator_main': 'decode'}


def parse() -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('src', help='a released checkpoint')
    parser.add_argument('dst', help='the file to write')
    parser.add_argument('--discriminator-aux', metavar='FILE', help='the released discriminator on conv4')
    parser.add_argument('--discriminator-main', metavar='FILE', help='the released discriminator on conv5')
    parser.add_argument('--to', metavar='CONFIG', help='convert for this config; lists everything that does not fit')
    parser.add_argument(
        '--branches',
        type=int,
        choices=[1, 2, 3, 4],
        help='number of dilated convolutions to apply per classifier (default: as many as the config has)',
    )
    parser.add_argument('--drop-classifier', action='store_true', help='convert the backbone only')
    parser.add_argument('--verbose', action='store_true', help='also list every key that is used')
    parser.add_argument('--overwrite', action='store_true', help='replace existing files')
    parser.add_argument('--unsafe', action='store_true', help='load files that execute code when loaded')
    return parser.parse_args()


def main() -> None:
    args = parse()
    if args.unsafe:
        allow_unsafe()
    checkpoint = converted(args)
    with staged(args.dst, args.overwrite) as path:
        torch.save(checkpoint, path)
    print(f'wrote {args.dst}')


def converted(args: Namespace) -> dict:
    cfg = config_of(args.to) if args.to else None
    own = build_segmentor(cfg).state_dict() if cfg else None
    found = convert(read_checkpoint(args.src), args.src, own, args.branches, args.drop_classifier)
    report(args.src, found, args.verbose)
    adapter = cfg is None or 'segmentor' in cfg.model
    state = {(f'{SEGMENTOR}.' if adapter else '') + key: value for key, value in found.state.items()}
    meta: dict = dict(mmseg_adapt=mmseg_adapt.__version__, converted_from=f'{Path(args.src).name}: {found.name}')
    if cfg and 'decode_head.conv_seg.0.bias' in found.state:
        meta['dataset_meta'] = dataset_meta(cfg, {}, len(found.state['decode_head.conv_seg.0.bias']))
    for argument, level in LEVELS.items():
        if (path := getattr(args, argument)) is None:
            if cfg and adapter and level in cfg.model.discriminator:
                print(
                    f'  missing: discriminator.{level} (keeps its initial weights; convert one with '
                    f'--{argument.replace("_", "-")})'
                )
            continue
        if not adapter or (cfg and level not in cfg.model.discriminator):
            raise UserError(
                f'{path}: {args.to} has no discriminator at level {level!r}: remove --{argument.replace("_", "-")}'
            )
        player = convert_discriminator(read_checkpoint(path), path, classes_of(found))
        report(path, player, args.verbose)
        state.update({f'discriminator.{level}.{key}': value for key, value in player.state.items()})
    return dict(state_dict=state, meta=meta)


def classes_of(found: Conversion) -> int | None:
    bias = found.state.get('decode_head.conv_seg.0.bias')
    return None if bias is None else len(bias)


def report(path: str, found: Conversion, verbose: bool) -> None:
    print(f'{path} is: {found.name}')
    print(f'  used: {len(found.used)} tensors')
    if verbose:
        for theirs, ours in found.used.items():
            print(f'    {theirs} → {ours}')
    if acting := {key.split('.')[2] for key in found.used if '.conv2d_list.' in f'.{key}'}:
        print(f'  applied: {len(acting)} dilated convolutions (AdaptSegNet and CLAN apply 2, ADVENT 4: --branches)')
    print(f'  unused: {len(found.unused)} tensors')
    for key, why in found.unused.items():
        print(f'    {key}: {why}')
    print(f'  missing: {len(found.missing)} tensors{" (keep their initial weights)" if found.missing else ""}')
    for key in found.missing:
        print(f'    {key}')
