"""Adapt BN statistics to unlabelled images: ``python tools/adapt_bn.py CONFIG CHECKPOINT --target FOLDER``.

The running means and variances of CHECKPOINT become those of all the images. No other tensor changes.
"""

import os.path as osp
from argparse import ArgumentParser, Namespace
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.runner.checkpoint import get_state_dict

from ..datasets.pipelines import unlabelled
from ..datasets.streams import TARGET, domains_of, with_pipelines
from ..engine.adapt_bn_hook import target_loader
from ..errors import UserError
from ..files.listing import IMAGE_ENDINGS, images_below
from ..files.whole import staged
from ..methods.target_bn import adapt_bn
from ..weights.load import read_checkpoint
from ..weights.parts import SEGMENTOR
from .launch import add_arguments, read_config


def dataset_of(cfg: Config, folder: str | None) -> dict:
    """The target: images in a folder, prepared as for testing, or the config's target (of AdaptBNHook or a pair)."""
    if folder is None:
        for hook in cfg.get('custom_hooks', ()):
            if hook.type == 'AdaptBNHook':
                return hook.dataset
        streams = with_pipelines(domains_of(cfg.train_dataloader.dataset))
        if TARGET in streams:
            return streams[TARGET]
        raise UserError(f'{cfg.filename} has no target: pass the folder of target images with --target')
    if not osp.isdir(folder):
        raise UserError(f'{folder} does not exist: pass a folder of target images with --target')
    endings = tuple({osp.splitext(name)[1] for name in images_below(folder)})
    if not endings:
        raise UserError(f'{folder} contains no images ({", ".join(IMAGE_ENDINGS)}): pass a folder of target images')
    pipeline = unlabelled(cfg.test_dataloader.dataset.pipeline)
    return dict(type='IdMappedDataset', data_prefix=dict(img_path=folder), img_suffix=endings, pipeline=pipeline)


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument('checkpoint', help='a checkpoint written by tools/train.py')
    parser.add_argument('--target', metavar='FOLDER', help="target images (default: the config's own target)")
    parser.add_argument('--batch-size', type=int, default=4, help='maximum number of images to normalise by at a time')
    parser.add_argument('--out', type=Path, help='file to write (default: CHECKPOINT_abn.pth)')
    parser.add_argument('--overwrite', action='store_true', help='replace --out if it exists')
    args = parser.parse_args()
    if args.launcher != 'none':
        parser.error('one process reads all images: remove --launcher')

    cfg = read_config(args)
    if not osp.isfile(args.checkpoint):
        raise UserError(f'{args.checkpoint} does not exist: pass a checkpoint, e.g. {cfg.work_dir}/iter_*.pth')
    source = Path(args.checkpoint)
    out = args.out or source.with_name(f'{source.stem}_abn.pth')
    with staged(out, args.overwrite) as file:
        model, images = adapted(cfg, args)
        write(model, images, source, file)
    print(f'wrote {out} with the BN statistics of {images} target images')


def adapted(cfg: Config, args: Namespace) -> tuple[torch.nn.Module, int]:
    """The model with the target's statistics, and the number of images used."""
    dataset = dataset_of(cfg, args.target)
    cfg.load_from = args.checkpoint
    cfg.work_dir = args.work_dir or osp.join(cfg.work_dir, 'adapt_bn')
    runner = Runner.from_cfg(cfg)
    runner.call_hook('before_run')
    runner.load_or_resume()
    batches = target_loader(runner, dataset, args.batch_size, cfg.test_dataloader.num_workers)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return model, adapt_bn(model, batches)


def write(model: torch.nn.Module, images: int, source: Path, out: Path) -> None:
    """Write ``source`` with the model's running statistics. Its meta data record this, because no mIoU applies."""
    checkpoint = read_checkpoint(source)
    weights = checkpoint.get('state_dict', checkpoint)
    for name, tensor in get_state_dict(model).items():
        key = name if name in weights else name.removeprefix(f'{SEGMENTOR}.')  # a plain segmentor's checkpoint
        if name.endswith(('running_mean', 'running_var')) and key in weights:
            weights[key] = tensor.cpu()
    if isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta']['adapted_bn'] = images
    torch.save(checkpoint, out)
