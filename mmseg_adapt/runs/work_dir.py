"""The folder of a run: find what can be resumed, and never mix two runs in it."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log

from ..errors import UserError
from ..files.difference import first_difference
from .checkpoint_files import damage, newest_sound

# keys in which two runs of one config may differ
VOLATILE = ('resume', 'load_from', 'launcher', 'work_dir', 'model_wrapper_cfg')


def resume_from(cfg: Config, checkpoint: str) -> None:
    """Resume the run from a checkpoint.

    Args:
        checkpoint: a file; ``'newest'``, the newest intact one in the work dir; or ``'auto'``, the same, but a new run
            if the work dir has none, for jobs that a scheduler restarts.

    Raises:
        UserError: the file does not exist or is damaged, or the work dir has no intact checkpoint.
    """
    if checkpoint in ('newest', 'auto'):
        file = newest_sound(Path(cfg.work_dir))
        if file is None:
            if checkpoint == 'auto' and not any(Path(cfg.work_dir).glob('iter_*.pth')):
                print_log(f'{cfg.work_dir} contains no checkpoint yet: starting a new run', logger='current')
                return
            raise UserError(
                f'{cfg.work_dir} contains no checkpoint to resume from: check --work-dir, or remove --resume'
            )
    else:
        file = Path(checkpoint)
        if not file.is_file():
            raise UserError(f'{file} does not exist: pass a checkpoint, or only --resume')
        if (problem := damage(file)) is not None:
            raise UserError(f'{file} is damaged ({problem}): pass another checkpoint, or only --resume')
    cfg.resume, cfg.load_from = True, str(file)


def protect_work_dir(cfg: Config, resume: bool, overwrite: bool) -> None:
    """Never mix two runs in one folder, unless asked to.

    Raises:
        UserError: the folder contains a run of another config, or checkpoints of this one.
    """
    folder = Path(cfg.work_dir)
    trained = any(folder.glob('*.pth')) or any(folder.glob('*/vis_data/scalars.json'))
    if overwrite or not trained:
        return
    for dumped in sorted(folder.glob('*.py')):
        if (key := first_difference(_lasting(Config.fromfile(dumped)), _lasting(cfg))) is None:
            continue
        if not resume:
            raise UserError(
                f'{folder} contains the run of another config ({key} differs from {dumped.name}): choose another '
                '--work-dir, or pass --overwrite'
            )
        print_log(f'resuming with a changed config: {key} differs from {dumped}', logger='current')
    if not resume and (folder / 'last_checkpoint').exists():
        raise UserError(f'{folder} contains checkpoints of this config: pass --resume to continue, or --overwrite')


def _lasting(cfg: Config) -> dict:
    return {key: value for key, value in cfg.to_dict().items() if key not in VOLATILE}
