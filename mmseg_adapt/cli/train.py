"""Train a config: ``python tools/train.py configs/adaptseg/gta2cs_multilevel.py`` (several GPUs: dist_train.sh)."""

from argparse import ArgumentParser

from ..datasets.cache import cache_training
from ..log.start_screen import QuietRunner
from ..runs.work_dir import protect_work_dir, resume_from
from .launch import add_arguments, enable_amp, prepare_devices, read_config


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='newest',
        metavar='auto|FILE',
        help='resume from the newest intact checkpoint of the work dir, or from FILE; auto may also start a new run',
    )
    parser.add_argument('--overwrite', action='store_true', help='allow a work dir that contains another run')
    parser.add_argument(
        '--amp',
        nargs='?',
        const='auto',
        choices=['auto', 'fp16', 'bf16'],
        help='mixed precision for every player; auto is fp16 on a GPU and bf16 on the CPU',
    )
    parser.add_argument('--cache', metavar='FOLDER', help='cache decoded and resized training images in this folder')
    args = parser.parse_args()

    cfg = read_config(args)
    if args.amp:
        enable_amp(cfg, args.amp)
    if args.cache:
        cache_training(cfg, args.cache)
    protect_work_dir(cfg, bool(args.resume), args.overwrite)
    if args.resume:
        resume_from(cfg, args.resume)
    prepare_devices(cfg)
    QuietRunner.from_cfg(cfg).train()
