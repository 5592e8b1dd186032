"""Code shared by ``tools/train.py`` and ``tools/test.py``: arguments, configs, devices, mixed precision."""

from __future__ import annotations

import os
import os.path as osp
from argparse import ArgumentParser, Namespace
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.logging import print_log
from mmseg.registry import MODELS

from ..compat import use_gloo_without_gpu
from ..errors import UserError
from ..files.config import config_of
from ..methods import DomainAdapter
from ..weights.load import allow_unsafe

GUARDS = {  # hooks that other people's configs may not have
    'runtime_info': 'DeferredLogHook',
    'finite_loss': 'FiniteLossHook',
    'checkpoint_guard': 'CheckpointGuardHook',
    'exact_resume': 'ExactResumeHook',
    'preemption': 'PreemptionHook',
    'class_set': 'ClassSetHook',
}


class Overrides(DictAction):
    """``key=value`` pairs; anything else is an argparse error."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        if wrong := [value for value in values if '=' not in value]:
            parser.error(f'argument {option_string}: expected key=value, got {wrong[0]!r}')
        super().__call__(parser, namespace, values, option_string)


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of MMSegmentation's own tools."""
    parser.add_argument('config', help='path or name of a config')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints (default: work_dirs/<name of the config>)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Overrides,
        help='overrides, e.g. model.lambda_adv.decode=0.002 randomness.seed=1',
    )
    parser.add_argument('--unsafe', action='store_true', help='load checkpoints that execute code when loaded')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by old launchers')


def read_config(args: Namespace) -> Config:
    """The config with the command line's overrides, ready for ``Runner.from_cfg``.

    Raises:
        UserError: the file does not exist or is not a config.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    if getattr(args, 'unsafe', False):
        allow_unsafe()
    cfg = config_of(args.config)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or osp.join('work_dirs', Path(args.config).stem)
    _guard(cfg)
    _settle(cfg)
    return cfg


def _guard(cfg: Config) -> None:
    """Add what :file:`configs/_base_` sets for our configs to other people's configs, without replacing anything."""
    cfg.setdefault('default_hooks', {})  # it returns {} itself, but cfg has a copy
    hooks = cfg.default_hooks
    for name, hook in GUARDS.items():
        hooks.setdefault(name, dict(type=hook))
    if hooks.get('checkpoint') and 'out_dir' not in hooks['checkpoint']:  # out_dir may not be a local disk
        hooks['checkpoint'].setdefault('backend_args', dict(backend='AtomicBackend'))
    if 'optimizer' in (cfg.get('optim_wrapper') or {}):
        cfg.optim_wrapper.setdefault('constructor', 'MergedOptimWrapperConstructor')
    if (cfg.get('train_cfg') or {}).get('type') == 'IterBasedTrainLoop':
        cfg.train_cfg.type = 'ResumableTrainLoop'


def _settle(cfg: Config) -> None:
    """Settle settings that the frameworks reject although only one value makes sense."""
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(key)
        if isinstance(loader, dict) and not loader.get('num_workers'):
            for option in ('persistent_workers', 'prefetch_factor'):  # options of workers that do not exist
                loader.pop(option, None)
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    best = checkpoint.get('save_best')
    names = [best] if isinstance(best, str) else best or []
    higher = ('IoU', 'infomax', 'flip_consistency', 'teacher_agreement')  # mmengine knows this only for mIoU
    if names and 'rule' not in checkpoint and all(any(word in name for word in higher) for name in names):
        checkpoint['rule'] = 'greater'


def prepare_devices(cfg: Config) -> None:
    """Choose the distributed wrapper, gloo without a GPU, and pinned memory with a GPU."""
    if not torch.cuda.is_available():
        print_log('no GPU found: running on the CPU', logger='current')
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader') if torch.cuda.is_available() else ():
        if cfg.get(key):
            cfg[key].setdefault('pin_memory', True)
    if cfg.launcher == 'none':
        return
    use_gloo_without_gpu(cfg.launcher)
    model = MODELS.get(cfg.model.type)  # None: building it reports the error
    adapted = model is not None and issubclass(model, DomainAdapter)
    kind = 'MM' if torch.cuda.is_available() else 'CPU'
    wrapper = dict(
        type=f'{kind}{"Separate" if adapted else ""}DistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.setdefault('model_wrapper_cfg', wrapper)


def enable_amp(cfg: Config, precision: str = 'auto', gpu: bool | None = None) -> None:
    """Enable mixed precision for the optimiser of a plain model, or for the optimisers of all players.

    Args:
        precision: ``'fp16'``, with a dynamic loss scale per player, or ``'bf16'``, which needs none; ``'auto'`` is fp16
            on a GPU and bf16 on the CPU.
        gpu: whether the run will have a GPU; by default, whether this machine has one.

    Raises:
        UserError: the optimiser wrapper is not ``OptimWrapper`` and not a mixed-precision wrapper.
    """
    gpu = torch.cuda.is_available() if gpu is None else gpu
    half = precision == 'fp16' or (precision == 'auto' and gpu)
    amp: dict = dict(type='AmpOptimWrapper' if gpu else 'CPUAmpOptimWrapper', dtype='float16' if half else 'bfloat16')
    if gpu and not half:
        amp['loss_scale'] = dict(enabled=False)
    players = [v for v in cfg.optim_wrapper.values() if isinstance(v, dict) and 'optimizer' in v] or [cfg.optim_wrapper]
    for wrapper in players:
        if wrapper.get('type', 'OptimWrapper') not in ('OptimWrapper', 'AmpOptimWrapper', 'CPUAmpOptimWrapper'):
            raise UserError(
                f'--amp: cannot be combined with optim_wrapper.type = {wrapper["type"]!r}; remove one of them'
            )
        wrapper.update(amp)
