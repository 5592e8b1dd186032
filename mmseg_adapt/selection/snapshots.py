"""The snapshots of runs: the checkpoints in a work dir, and the config that they were trained with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from ..errors import UserError
from ..files.config import config_of
from ..runs.checkpoint_files import damage


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint, and the config of its run."""

    run: Path
    file: Path
    config: Path

    @property
    def name(self) -> str:
        return f'{"/".join(self.run.parts[-2:])}/{self.file.stem}'

    @property
    def iteration(self) -> int:
        """The number at the end of the file's name, or 0."""
        return int((re.findall(r'\d+', self.file.stem) or [0])[-1])


def snapshots_of(places: Sequence[str | Path]) -> tuple[list[Snapshot], list[str]]:
    """The snapshots in work dirs, or checkpoint files in a work dir; run by run, in order of iteration.

    Returns:
        The snapshots, and one sentence for each damaged file, which is skipped.

    Raises:
        UserError: a place does not exist, has no checkpoint or no config, or has only damaged checkpoints.
    """
    found, notes = {}, []
    for place in map(Path, places):
        if not place.exists():
            raise UserError(f'{place} does not exist: pass work dirs of training runs, or checkpoints in them')
        run = place if place.is_dir() else place.parent
        files = list(run.glob('iter_*.pth')) or list(run.glob('*.pth')) if place.is_dir() else [place]
        if not files:
            raise UserError(f'{place} contains no checkpoint (iter_*.pth): pass the work dir of a training run')
        config = config_in(run)
        for snapshot in sorted((Snapshot(run, file, config) for file in files), key=lambda s: (s.iteration, s.file)):
            if (problem := damage(snapshot.file)) is None:
                found[snapshot.file.resolve()] = snapshot
            else:
                notes.append(f'{snapshot.file} is damaged ({problem}) and skipped')
    if not found:
        raise UserError('; '.join(notes) + ': train again, or pass another work dir')
    return list(found.values()), notes


def config_in(run: Path) -> Path:
    """The config that training wrote into its work dir; the newest if there are several.

    Raises:
        UserError: there is no config.
    """
    files = sorted(run.glob('*.py'), key=lambda file: file.stat().st_mtime_ns)
    if not files:
        raise UserError(f'{run} contains no config (*.py): pass a work dir written by tools/train.py')
    return files[-1]


def is_adapted(cfg: Config) -> bool:
    """Whether a config adapts to a target: not with a plain segmentor or with labelled streams only."""
    return 'segmentor' in cfg.model and 'target' in cfg.train_dataloader.dataset


def adapted(snapshot: Snapshot) -> bool:
    """:func:`is_adapted` for the run of a snapshot."""
    return is_adapted(config_of(str(snapshot.config)))
