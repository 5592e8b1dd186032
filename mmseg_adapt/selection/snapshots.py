"""The snapshots of runs: which checkpoints lie in a work dir, and the config that they were trained with."""

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
        """What the file's name ends in; 0 of another name."""
        return int((re.findall(r'\d+', self.file.stem) or [0])[-1])


def snapshots_of(places: Sequence[str | Path]) -> tuple[list[Snapshot], list[str]]:
    """The snapshots in work dirs, or checkpoint files that lie in one, run by run in the order of their iterations.

    Returns:
        The snapshots, and a sentence on each damaged one, which is left out.

    Raises:
        UserError: no such place, one without a checkpoint or a config, or only damaged checkpoints.
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
    """The config that a training wrote into its work dir; the newest of several.

    Raises:
        UserError: there is none.
    """
    files = sorted(run.glob('*.py'), key=lambda file: file.stat().st_mtime_ns)
    if not files:
        raise UserError(f'{run} contains no config (*.py): pass a work dir written by tools/train.py')
    return files[-1]


def is_adapted(cfg: Config) -> bool:
    """Whether a config adapts to a target: of a plain segmentor, or of labelled streams alone, it does not."""
    return 'segmentor' in cfg.model and 'target' in cfg.train_dataloader.dataset


def adapted(snapshot: Snapshot) -> bool:
    """The same of a snapshot's run."""
    return is_adapted(config_of(str(snapshot.config)))
