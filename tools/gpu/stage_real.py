"""Stage d: training on real images, Cityscapes → IDD-Lite, with ten times the configs' iterations.

Several trainings share the GPU, because their networks are small. The first seed of every row runs before the second.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
import time
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import torch
from kit import ROOT, Results, arguments
from mmengine.config import Config
from mmseg.registry import MODELS
from noise_data import write_noise
from summarize import summary_of

ROWS = (  # most valuable first; missing configs are skipped
    'real/cs2idd_source_only',
    'real/cs2idd_dacs_rcs',
    'real/cs2idd_mic',
    'real/cs2idd_singlelevel',
    'real/cs2idd_oracle',
)
SEEDS = (0, 1, 2)
TIMES = 10  # factor on the configs' iterations


def unpack(args: Namespace, folder: Path) -> None:
    """Unpack ``data/`` and ``weights/`` into the current folder. A rehearsal without data.tar uses noise."""
    packed = args.kit / 'data.tar'
    if packed.exists():
        with tarfile.open(packed) as archive:
            archive.extractall(folder, filter='data')
    elif args.tiny:
        write_noise(folder / 'data')
        weights = folder / 'weights/mobilenetv2_imagenet.pth'
        weights.parent.mkdir()
        backbone = Config.fromfile(ROOT / 'configs/_base_/models/segformerhead_mobilenetv2.py').model.backbone
        torch.save(MODELS.build(dict(backbone, init_cfg=None)).state_dict(), weights)
    else:
        sys.exit(f'error: {packed} does not exist: run tools/gpu/prepare.sh, or leave real out of --stages')


def options_of(config: Path, seed: int, tiny: bool) -> list[str]:
    cfg = Config.fromfile(config)
    iterations = 2 if tiny else TIMES * cfg.train_cfg.max_iters
    interval = 2 if tiny else TIMES * cfg.train_cfg.val_interval
    options = [f'randomness.seed={seed}', f'train_cfg.max_iters={iterations}', f'train_cfg.val_interval={interval}']
    options += [f'param_scheduler.0.end={iterations + 1}', f'default_hooks.checkpoint.interval={interval}']
    options += [f'train_dataloader.num_workers={0 if tiny else 2}', 'default_hooks.logger.interval=100']
    return options + (['val_dataloader.dataset.indices=2', 'train_dataloader.batch_size=2'] if tiny else [])


def train(name: str, seed: int, folder: Path, tiny: bool) -> dict:
    """Train once in a separate process, in ``folder``; returns the results.

    Raises:
        RuntimeError: If the training failed; contains its last line of output.
    """
    config, work_dir = ROOT / f'configs/{name}.py', folder / f'{Path(name).name}_{seed}'
    command = [sys.executable, ROOT / 'tools/train.py', config, '--work-dir', work_dir]
    started, env = time.time(), {**os.environ, 'OMP_NUM_THREADS': '1'}
    command += ['--cfg-options', *options_of(config, seed, tiny)]
    done = subprocess.run(list(map(str, command)), cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ['no message'])[-1])
    return dict(summary_of(work_dir), seconds=time.time() - started)


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    results = Results(args.out, 'real')
    rows = [name for name in ROWS if (ROOT / f'configs/{name}.py').exists()]
    runs = [(name, seed) for seed in (SEEDS[:1] if args.tiny else SEEDS) for name in rows]
    jobs = 1 if args.device == 'cpu' else max(1, min(6, (os.cpu_count() or 1) // 2))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        unpack(args, Path(folder))
        started = {pool.submit(train, name, seed, Path(folder), args.tiny): (name, seed) for name, seed in runs}
        for future in as_completed(started):
            name, seed = started[future]
            with results.row(f'{name}, seed {seed}'):
                results.add(name=f'{name}, seed {seed}', config=name, seed=seed, jobs=jobs, **future.result())


if __name__ == '__main__':
    main()
