"""Test a checkpoint: ``python tools/test.py CONFIG CHECKPOINT`` prints the mIoU and every class's IoU on the target."""

import os.path as osp
from argparse import ArgumentParser

from mmengine.runner import Runner

from ..errors import UserError
from ..evaluation import ClassIoUMetric
from .launch import add_arguments, prepare_devices, read_config


def keep_folders(runner: Runner) -> None:
    """Name predictions by the image's path in the data set's folder: file names repeat in its sub-folders."""
    folder = (getattr(runner.test_dataloader.dataset, 'data_prefix', None) or {}).get('img_path')
    for metric in runner.test_evaluator.metrics:
        if isinstance(metric, ClassIoUMetric):
            metric.folder = folder


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument('checkpoint', help='a checkpoint written by tools/train.py or tools/export_segmentor.py')
    parser.add_argument('--out', help='folder for predictions, one PNG of class indices per image')
    parser.add_argument('--show-dir', help='folder for pictures: image, prediction, ground truth')
    parser.add_argument('--part', help="'teacher' tests the checkpoint's teacher instead of its segmentor")
    parser.add_argument('--tta', action='store_true', help='average over scales and flips (tta_pipeline of the config)')
    args = parser.parse_args()

    cfg = read_config(args)
    if not osp.isfile(args.checkpoint):
        raise UserError(f'{args.checkpoint} does not exist: pass a checkpoint, e.g. {cfg.work_dir}/iter_*.pth')
    cfg.load_from, cfg.resume = args.checkpoint, False
    cfg.default_hooks.checkpoint_guard.part = args.part
    cfg.work_dir = args.work_dir or osp.join(cfg.work_dir, 'test')  # the training run's folder keeps its config
    if args.out:
        cfg.test_evaluator.output_dir = args.out
    if args.show_dir:
        cfg.default_hooks.visualization = dict(type='PictureHook', out_dir=args.show_dir)
    if args.tta:
        if missing := [key for key in ('tta_pipeline', 'tta_model') if key not in cfg]:
            raise UserError(
                f'--tta needs {missing[0]} in {args.config}: copy tta_pipeline from configs/_base_/datasets/gta2cs.py '
                'and tta_model from configs/_base_/default_runtime.py'
            )
        cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
        cfg.model = dict(cfg.tta_model, module=cfg.model)
    prepare_devices(cfg)
    runner = Runner.from_cfg(cfg)
    keep_folders(runner)
    runner.test()
