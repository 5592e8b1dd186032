"""What ``tools/train.py`` and ``tools/test.py`` share: configs, devices, mixed precision, one-sentence errors."""

from __future__ import annotations

import os
import os.path as osp
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.logging import print_log
from mmseg.registry import MODELS

from ..compat import use_gloo_without_gpu
from ..errors import UserError, first_line
from ..methods import AdversarialAdapter
from ..weights.load import allow_unsafe
from .checkpoint_files import damage, newest_sound

VOLATILE = (
    'resume',
    'load_from',
    'launcher',
    'work_dir',
    'model_wrapper_cfg',
)  # keys in which two runs of one config may differ


GUARDS = {  # hooks that a config of someone else's may lack
    'finite_loss': 'FiniteLossHook',
    'checkpoint_guard': 'CheckpointGuardHook',
    'exact_resume': 'ExactResumeHook',
    'preemption': 'PreemptionHook',
    'class_set': 'ClassSetHook',
}
EXPECTED = (UserError, FileNotFoundError)
UNREGISTERED = re.compile(r'(\S+) is not in the (\S+) registry')  # what mmengine says of a type that does not exist


@contextmanager
def one_sentence() -> Iterator[None]:
    """Print a :class:`UserError` or a missing file as one sentence and exit with 1.

    With ``MMSEG_ADAPT_TRACEBACK=1`` in the environment the traceback is shown instead.
    """
    try:
        yield
    except (*EXPECTED, KeyError) as error:
        unexpected = isinstance(error, KeyError) and not UNREGISTERED.search(str(error))
        if unexpected or os.environ.get('MMSEG_ADAPT_TRACEBACK') == '1':
            raise
        print(f'error: {sentence(error)}', file=sys.stderr)
        sys.exit(1)


def sentence(error: BaseException) -> str:
    """The message without what PyTorch's data loader adds to an error of a worker."""
    if isinstance(error, FileNotFoundError) and error.filename:
        return f'{error.filename} does not exist: put or link it there, or change the path in the config'
    if isinstance(error, KeyError):
        name, registry = UNREGISTERED.search(str(error)).groups()
        name = name.strip('"\'')
        return (
            f'type = {name!r} is not in the registry {registry}: correct it in the config, or name the module that '
            'registers it in custom_imports'
        )
    return str(error).strip().splitlines()[-1].split('UserError: ')[-1]


class Overrides(DictAction):
    """``key=value`` pairs; what is none is refused as argparse refuses."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        if wrong := [value for value in values if '=' not in value]:
            parser.error(f'argument {option_string}: {wrong[0]!r} is no key=value')
        super().__call__(parser, namespace, values, option_string)


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of MMSegmentation's own tools."""
    parser.add_argument('config', help='path of a config')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints (default: work_dirs/<name of the config>)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Overrides,
        help='overrides, e.g. model.lambda_adv.decode=0.002 randomness.seed=1',
    )
    parser.add_argument('--unsafe', action='store_true', help='load checkpoints that need code to be loaded')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by old launchers')


def config_of(path: str) -> Config:
    """Raises: UserError: no such file, or a file that is no config."""
    if not osp.isfile(path):
        raise UserError(f'{path} does not exist: name a config, e.g. configs/adaptseg/gta2cs_multilevel.py')
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is Python, which may raise anything
        raise UserError(f'{path} cannot be read as a config: {first_line(error)}') from error


def read_config(args: Namespace) -> Config:
    """The config with the command line's overrides, ready for ``Runner.from_cfg``.

    Raises:
        UserError: no such file, or a file that is no config.
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
    return cfg


def _guard(cfg: Config) -> None:
    """What :file:`configs/_base_` gives to every config of ours, for one of someone else's: nothing is lost."""
    hooks = cfg.setdefault('default_hooks', {})
    for name, hook in GUARDS.items():
        hooks.setdefault(name, dict(type=hook))
    if hooks.get('checkpoint') and 'out_dir' not in hooks['checkpoint']:  # elsewhere may be no local disk
        hooks['checkpoint'].setdefault('backend_args', dict(backend='AtomicBackend'))
    if (cfg.get('train_cfg') or {}).get('type') == 'IterBasedTrainLoop':
        cfg.train_cfg.type = 'ResumableTrainLoop'


def prepare_devices(cfg: Config) -> None:
    """Choose the distributed wrapper, and gloo on a machine without a GPU."""
    if not torch.cuda.is_available():
        print_log('no GPU found: running on the CPU', logger='current')
    if cfg.launcher == 'none':
        return
    use_gloo_without_gpu(cfg.launcher)
    model = MODELS.get(cfg.model.type)  # None: building it will say so
    adapted = model is not None and issubclass(model, AdversarialAdapter)
    kind = 'MM' if torch.cuda.is_available() else 'CPU'
    wrapper = dict(
        type=f'{kind}{"Separate" if adapted else ""}DistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.setdefault('model_wrapper_cfg', wrapper)


def enable_amp(cfg: Config, precision: str = 'auto') -> None:
    """Mixed precision for the optimiser of a plain model, or for every player's.

    Args:
        precision: ``'fp16'``, with a dynamic loss scale for every player, or ``'bf16'``, which needs none; ``'auto'``
            is fp16 on a GPU and bf16 on the CPU.

    Raises:
        UserError: an optimiser wrapper that is neither ``OptimWrapper`` nor one of mixed precision.
    """
    gpu = torch.cuda.is_available()
    half = precision == 'fp16' or (precision == 'auto' and gpu)
    amp = dict(type='AmpOptimWrapper' if gpu else 'CPUAmpOptimWrapper', dtype='float16' if half else 'bfloat16')
    if gpu and not half:
        amp['loss_scale'] = dict(enabled=False)
    players = [v for v in cfg.optim_wrapper.values() if isinstance(v, dict) and 'optimizer' in v] or [cfg.optim_wrapper]
    for wrapper in players:
        if wrapper.get('type', 'OptimWrapper') not in ('OptimWrapper', 'AmpOptimWrapper', 'CPUAmpOptimWrapper'):
            raise UserError(f'--amp: cannot be combined with optim_wrapper.type = {wrapper.type!r}; remove one of them')
        wrapper.update(amp)


def resume_from(cfg: Config, checkpoint: str) -> None:
    """Let the run go on from a checkpoint.

    Args:
        checkpoint: a file; ``'newest'`` in the work dir that is not damaged; ``'auto'``, the same, or a new run in a
            work dir that holds none, for jobs that a scheduler starts again and again.

    Raises:
        UserError: no such file, a damaged one, or a work dir that holds no sound one.
    """
    if checkpoint in ('newest', 'auto'):
        file = newest_sound(Path(cfg.work_dir))
        if file is None:
            if checkpoint == 'auto' and not any(Path(cfg.work_dir).glob('iter_*.pth')):
                print_log(f'{cfg.work_dir} holds no checkpoint yet: the run begins', logger='current')
                return
            raise UserError(
                f'{cfg.work_dir} holds no checkpoint to resume from: check --work-dir, or leave out --resume'
            )
    else:
        file = Path(checkpoint)
        if not file.is_file():
            raise UserError(f'{file} does not exist: name a checkpoint, or pass --resume alone')
        if (problem := damage(file)) is not None:
            raise UserError(f'{file} is damaged ({problem}): name another checkpoint, or pass --resume alone')
    cfg.resume, cfg.load_from = True, str(file)


def protect_work_dir(cfg: Config, resume: bool, overwrite: bool) -> None:
    """Never mix two runs in one folder unasked.

    Raises:
        UserError: the folder holds a run of another config, or checkpoints of this one.
    """
    folder = Path(cfg.work_dir)
    trained = any(folder.glob('*.pth')) or any(folder.glob('*/vis_data/scalars.json'))
    if overwrite or not trained:
        return
    for dumped in sorted(folder.glob('*.py')):
        if (key := first_difference(Config.fromfile(dumped).to_dict(), cfg.to_dict())) is None:
            continue
        if not resume:
            raise UserError(
                f'{folder} holds the run of another config ({key} differs from {dumped.name}): choose another '
                '--work-dir, or pass --overwrite'
            )
        print_log(f'resuming with a changed config: {key} differs from {dumped}', logger='current')
    if not resume and (folder / 'last_checkpoint').exists():
        raise UserError(f'{folder} holds checkpoints of this config: pass --resume to go on, or --overwrite')


def first_difference(a, b, path: str = '') -> str | None:
    """The dotted key of the first difference of two configs, or None."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys(), key=str):
            if not path and key in VOLATILE:
                continue
            if (found := first_difference(a.get(key), b.get(key), f'{path}.{key}' if path else str(key))) is not None:
                return found
        return None
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        found = (first_difference(x, y, f'{path}[{i}]') for i, (x, y) in enumerate(zip(a, b)))
        return next((key for key in found if key is not None), None)
    return None if a == b else path
