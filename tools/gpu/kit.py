"""Code shared by the stages: their arguments, and results that are written to disk immediately."""

import json
import time
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from tables import report

from mmseg_adapt.errors import first_line
from mmseg_adapt.files.whole import write_whole

ROOT = Path(__file__).resolve().parents[2]


def arguments(description: str) -> Namespace:
    """The arguments that run.py passes to every stage."""
    parser = ArgumentParser(description=description)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--kit', type=Path, default=ROOT / 'work_dirs/gpu_kit')
    parser.add_argument('--device', choices=['cuda', 'cpu'], default='cuda')
    parser.add_argument('--seconds', type=float, default=600, help='time after which the stage is stopped')
    parser.add_argument('--tiny', action='store_true')
    args = parser.parse_args()
    args.ends = time.time() + args.seconds
    init_default_scope('mmseg')
    MMLogger.get_instance('mmengine', log_level='WARNING')
    return args


class Results:
    """The rows of a stage. Each row is completely on disk when :meth:`add` returns."""

    def __init__(self, out: Path, stage: str) -> None:
        self.out, self.stage = out, stage
        self.rows: list[dict] = []

    def add(self, **row) -> None:
        print(row, flush=True)
        self.rows.append(row)
        write_whole(self.out, f'{self.stage}.json', json.dumps(self.rows, indent=1).encode())
        write_whole(self.out, 'report.txt', report(self.out).encode())

    @contextmanager
    def row(self, name: str) -> Iterator[None]:
        """If the block fails, store the error as row ``name`` and continue with the next row."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            self.add(name=name, skipped=f'too little memory: {first_line(error)}')
        except Exception as error:
            traceback.print_exc()
            self.add(name=name, skipped=f'{type(error).__name__}: {first_line(error)}')
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
