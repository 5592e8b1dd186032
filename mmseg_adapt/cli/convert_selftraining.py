"""Convert a released checkpoint of DAFormer, HRDA or MIC to our format.

``python tools/model_converters/selftraining.py latest.pth OURS.pth --to configs/daformer/gta2cs_mitb5.py``

The student (``model.``) becomes ``segmentor.``, the teacher (``ema_model.``) ``teacher.``, and the ImageNet network
(``imnet_model.``) ``imagenet.``. You can test, export and load the result like any checkpoint of ours.
"""

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path

import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import Tensor

import mmseg_adapt

from ..errors import UserError
from ..files.config import config_of
from ..files.whole import staged
from ..weights.load import allow_unsafe, read_checkpoint, tensors_of
from ..weights.segmentor import dataset_meta
from ..weights.selftraining import adapter_of

CLASSIFIERS = ('segmentor.decode_head.conv_seg.bias', 'segmentor.decode_head.conv_seg.0.bias')


def parse() -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('src', help='a released checkpoint')
    parser.add_argument('dst', help='the file to write')
    parser.add_argument('--to', metavar='CONFIG', help='convert for this config; lists everything that does not fit')
    parser.add_argument('--overwrite', action='store_true', help='replace an existing file')
    parser.add_argument('--unsafe', action='store_true', help='load a file that executes code when loaded')
    return parser.parse_args()


def main() -> None:
    args = parse()
    if args.unsafe:
        allow_unsafe()
    checkpoint = converted(args.src, args.to)
    with staged(args.dst, args.overwrite) as path:
        torch.save(checkpoint, path)
    print(f'wrote {args.dst}')


def converted(path: str, config: str | None) -> dict:
    """Raises: UserError: the file is not from these releases, or does not fit this config."""
    released = read_checkpoint(path)
    state = adapter_of(tensors_of(released, path), path)
    for part in dict.fromkeys(key.split('.')[0] for key in state):
        print(f'  {part}: {sum(key.startswith(f"{part}.") for key in state)} tensors')
    meta: dict = dict(mmseg_adapt=mmseg_adapt.__version__, converted_from=Path(path).name)
    names = released.get('meta') or {}
    if 'CLASSES' in names and 'PALETTE' in names:
        meta['dataset_meta'] = dict(
            classes=list(names['CLASSES']), palette=[list(map(int, c)) for c in names['PALETTE']]
        )
    if config:
        cfg = config_of(config)
        init_default_scope(cfg.get('default_scope') or 'mmseg')
        if 'segmentor' not in cfg.model:
            raise UserError(f'{config} has no model.segmentor: pass a config of DACS, DAFormer or MIC')
        state = fitted(MODELS.build(cfg.model).state_dict(), state, path, config)
        meta['dataset_meta'] = dataset_meta(cfg, {}, next(len(state[key]) for key in CLASSIFIERS if key in state))
    return dict(state_dict=state, meta=meta)


def fitted(own: dict[str, Tensor], state: dict[str, Tensor], path: str, config: str) -> dict[str, Tensor]:
    """The tensors of ``state`` for the parts that the config has.

    Raises:
        UserError: a tensor is missing on one side, or has another shape.
    """
    parts = {key.split('.')[0] for key in own}
    for part in sorted({key.split('.')[0] for key in state} - parts):
        print(f'  {part} is skipped: {config} does not have it')
    kept = {key: value for key, value in state.items() if key.split('.')[0] in parts}
    lacking = [key for key in own if key not in kept and not key.endswith('num_batches_tracked')]
    if lacking or kept.keys() - own.keys():
        key, where = (lacking[0], path) if lacking else (min(kept.keys() - own.keys()), config)
        raise UserError(f'{where} has no {key}: pass the config of the same method, network and head with --to')
    for key, value in kept.items():
        if value.shape != own[key].shape:
            raise UserError(
                f'{path}: {key} has shape {tuple(value.shape)}, but {config} needs {tuple(own[key].shape)}: pass the '
                'config of the same network and classes with --to'
            )
    return kept
