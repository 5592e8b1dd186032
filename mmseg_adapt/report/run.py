"""Read a run from its work dir: curves, warnings, recipe. Works for unfinished runs, with or without labels."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from ..datasets.pipelines import LABEL_LOADERS, steps_of
from ..datasets.streams import SOURCE, domains_of, image_folder, is_labelled, parts
from ..errors import UserError
from ..files.config import config_of
from ..log.scalars import scalars_of
from ..selection.snapshots import config_in

WARNING = re.compile(r' - WARNING - (iteration \d+: .+)')
# In the runtime environment that mmengine logs, and after it on the start screen, where a resumed run has its own again
SEED = re.compile(r'^(?: +seed:|seed) +(\d+)$', flags=re.M)


@dataclass(frozen=True)
class Run:
    """A work dir. Curves are name → [(iteration, value), …]."""

    folder: Path
    config: Path
    cfg: Config
    rows: list[dict]
    warnings: list[str]
    seed: str

    def curves(self, word: str) -> dict[str, list[tuple[float, float]]]:
        """The logged numbers whose name contains ``word``."""
        names = sorted({name for row in self.rows for name in row if word in name})
        return {name: [(row['step'], row[name]) for row in self.rows if name in row] for name in names}

    def recipe(self) -> dict[str, str]:
        """What is needed to repeat the training, and what it cost."""
        steps = [(row['step'], row['time']) for row in self.rows if 'time' in row and 'iter' in row]
        seconds = sum(time * (step - before) for (step, time), (before, _) in zip(steps, [(0, 0), *steps]))
        memory = [row['memory'] for row in self.rows if 'memory' in row]
        saved = [int(file.stem.partition('_')[2]) for file in self.folder.glob('iter_*.pth')]
        last = max([step for step, _ in steps] + saved, default=0)
        end = (self.cfg.get('train_cfg') or {}).get('max_iters')
        return {
            'command': self._command(),
            'seed': self.seed,
            'iterations': f'{last} of {end}' + ('' if end is None or last >= end else ' (the run is not finished)'),
            'training time': f'{seconds / 60:.1f} minutes',
            'GPU memory': f'{max(memory)} MB' if memory else 'no GPU',
        }

    def _command(self) -> str:
        """Repeats the training, with the seed that was drawn.

        A resumed run has overwritten its config: mmengine also keeps one for each start, of which the run's own is the
        last that resumed nothing.
        """
        starts = sorted(self.folder.glob('*/vis_data/config.py'), reverse=True)
        config = next((file for file in starts if not config_of(str(file)).get('resume')), self.config)
        words = ['python', 'tools/train.py', config, '--work-dir', f'{self.folder}_again']
        if self.seed.isdigit() and (self.cfg.get('randomness') or {}).get('seed') is None:
            words += ['--cfg-options', f'randomness.seed={self.seed}']
        return shlex.join(map(str, words))


def run_in(folder: str | Path) -> Run:
    """Raises: UserError: the folder does not exist or has no config."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f'{folder} does not exist: pass the work dir of a training run')
    config = config_in(folder)
    rows = [row for file in sorted(folder.glob('*/vis_data/scalars.json')) for row in scalars_of(file)]
    logs = ''.join(file.read_text(errors='replace') for file in sorted(folder.glob('[!.]*/*.log')))
    warnings = list(dict.fromkeys(WARNING.findall(logs)))
    seed = SEED.findall(logs)[-1:] or ['not known']
    return Run(folder, config, config_of(str(config)), [row for row in rows if 'step' in row], warnings, seed[0])


def has_labels(cfg: Config) -> bool:
    """Whether the test images of a config have labels that exist on disk."""
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    loads = any(step in LABEL_LOADERS for step in steps_of(dataset.get('pipeline', ())))
    prefix = (dataset.get('data_prefix') or {}).get('seg_map_path')
    return bool(loads and prefix and Path(dataset.get('data_root') or '', prefix).is_dir())


def folders_of(cfg: Config) -> dict[str, str]:
    """``'source'`` and ``'target'`` → the folder of the images, if it exists."""
    found = {}
    for name, stream in domains_of(cfg.train_dataloader.dataset).items():
        _, part = next(parts(stream))
        folder = image_folder(part)
        key = 'source' if name == SOURCE else 'labelled' if is_labelled(name) else 'target'
        if folder and Path(folder).is_dir():
            found.setdefault(key, folder)
    return found
