"""Runs of ``tools/train.py`` that are interrupted and resumed: ``main()`` with arguments CONFIG FOLDER CASE ….

A case is ``<kind>-<iteration>-<workers>-<ranks>``; kind is none, clean, sigterm or kill9. Every run is a process of its
own, forked from this one, which has imported everything and computed nothing. CASE/iter_20.pth is what it ends with.
"""

import os
import runpy
import signal
import socket
import sys
import traceback
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

import mmseg_adapt  # noqa: F401
from mmseg_adapt.engine.checkpoint_files import AtomicBackend

REPO = Path(__file__).parents[1]
ITERATIONS = 20


@HOOKS.register_module()
class Interrupt(Hook):
    """Ends the run after ``iteration``: cleanly, or as a scheduler does, whose SIGTERM reaches all processes of a rank,
    data-loader workers included, while the iteration runs."""

    priority = 'VERY_HIGH'

    def __init__(self, kind: str = 'none', iteration: int = 0, rank: int = 0) -> None:
        self.kind, self.iteration, self.rank = kind, iteration, rank

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if self.kind == 'sigterm' and runner.iter + 1 == self.iteration and runner.rank == self.rank:
            os.killpg(0, signal.SIGTERM)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.kind == 'clean' and runner.iter + 1 == self.iteration:
            runner.train_loop.stop_training = True


def die_while_writing(name: str) -> None:
    """kill -9 when half of the checkpoint ``name`` is on the disk."""
    write = AtomicBackend._write

    def half(obj: bytes, path: Path) -> None:
        if name in path.name:
            path.write_bytes(obj[: len(obj) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        write(obj, path)

    AtomicBackend._write = staticmethod(half)


def train(config: str, work_dir: Path, ranks: int, options: list, resume: bool = False, kill: str = '') -> list[int]:
    """The exit codes of the ranks (negative: the signal that ended it); once a rank died, the others are killed."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    children = {}
    for rank in range(ranks):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.setpgrp()
                log = os.open(f'{work_dir}.log', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(log, 1), os.dup2(log, 2)
                if ranks > 1:
                    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks))
                    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
                    options = [*options, '--launcher', 'pytorch']
                if kill:
                    die_while_writing(kill)
                code = main_of_train([config, '--work-dir', work_dir, *(['--resume'] if resume else []), *options])
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        children[child] = rank
    codes = [0] * ranks
    while children:
        pid, status = os.wait()
        codes[children.pop(pid)] = os.waitstatus_to_exitcode(status)
        if os.waitstatus_to_exitcode(status):
            for other in children:
                os.kill(other, signal.SIGKILL)
    return codes


def main_of_train(arguments: list) -> int:
    torch.set_num_threads(1)
    os.chdir(REPO)
    sys.argv = ['train.py', *map(str, arguments)]
    try:
        runpy.run_path('tools/train.py', run_name='__main__')
    except SystemExit as stop:
        return stop.code or 0
    return 0


def run_case(case: str, config: str, folder: Path) -> None:
    kind, *numbers = case.split('-')
    iteration, workers, ranks = map(int, numbers)
    work_dir = folder / case

    def options(*more) -> list:
        workers_on = f'train_dataloader.persistent_workers={workers > 0}'
        return ['--cfg-options', f'train_dataloader.num_workers={workers}', workers_on, *more]

    if kind == 'none':
        assert train(config, work_dir, ranks, options()) == [0] * ranks
        return
    if kind in ('clean', 'sigterm'):  # the signal goes to the last rank; all stop
        interrupt = [f'custom_hooks.1.kind={kind}', f'custom_hooks.1.iteration={iteration}']
        saving = [f'default_hooks.checkpoint.interval={iteration}'] if kind == 'clean' else []
        codes = train(config, work_dir, ranks, options(*interrupt, *saving, f'custom_hooks.1.rank={ranks - 1}'))
        assert codes == [0] * ranks, codes
    elif kind == 'kill9':
        every = 'default_hooks.checkpoint.interval=1'
        codes = train(config, work_dir, ranks, options(every), kill=f'iter_{iteration + 1}.pth')
        assert codes[0] == -signal.SIGKILL, codes
    newest = max(work_dir.glob('iter_*.pth'), key=lambda path: int(path.stem[5:]))
    assert newest.stem == f'iter_{iteration}', newest
    codes = train(config, work_dir, ranks, options(), resume=True)
    assert codes == [0] * ranks, codes


def main() -> None:
    config, folder, *cases = sys.argv[1:]
    for case in cases:
        run_case(case, config, Path(folder))
