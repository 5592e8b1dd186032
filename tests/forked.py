"""Runs of the tools in processes of their own, on one rank or several, without importing everything each time.

``python -c 'import tests.forked; tests.forked.main()' JOBS.json``; a job is the arguments of :func:`launch`. Each rank
is forked from this process, which has imported everything and computed nothing.
"""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

import mmseg_adapt  # noqa: F401

from .tiny import without_the_overhead_of_a_long_run

REPO = Path(__file__).parents[1]


def run(jobs: list[dict], folder: Path) -> None:
    """Run the jobs one after the other from a test; fails with the end of the log of the one that went wrong."""
    (folder / 'jobs.json').write_text(json.dumps(jobs))
    env = dict(os.environ, PYTHONPATH=str(REPO), OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    main = 'import tests.forked; tests.forked.main()'
    command = [sys.executable, '-W', 'ignore', '-c', main, str(folder / 'jobs.json')]
    done = subprocess.run(command, env=env, cwd=REPO, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def main() -> None:
    without_the_overhead_of_a_long_run()
    for job in json.loads(Path(sys.argv[1]).read_text()):
        codes = launch(**job)
        # the other ranks miss the one that was killed, and may end before they are killed too
        good = codes[0] == -signal.SIGKILL and all(codes) if job.get('kill') else not any(codes)
        if not good:
            sys.exit(f'{job}\nended with {codes}:\n{Path(job["log"]).read_text()[-2500:]}')


def launch(tool: str, arguments: list, log: str, ranks: int = 1, kill: str = '') -> list[int]:
    """The exit codes of the ranks (negative: of a signal). Once a rank died, the others are killed.

    Args:
        kill: part of the name of a checkpoint while writing which the process gets a kill -9.
    """
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    children = {}
    for rank in range(ranks):
        child = os.fork()
        if child == 0:
            run_rank(tool, arguments, log, rank, ranks, port, kill)
        children[child] = rank
    found = [0] * ranks
    while children:
        pid, status = os.wait()
        found[children.pop(pid)] = os.waitstatus_to_exitcode(status)
        if status:
            for other in children:
                os.kill(other, signal.SIGKILL)
    return found


def run_rank(tool: str, arguments: list, log: str, rank: int, ranks: int, port: int, kill: str) -> None:
    """Never returns."""
    code = 1
    try:
        os.setpgrp()
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1), os.dup2(file, 2)
        sys.argv = [tool, *map(str, arguments)]
        if ranks > 1:
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks))
            os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
            sys.argv += ['--launcher', 'pytorch']
        if kill:
            die_while_writing(kill)
        torch.set_num_threads(1)
        os.chdir(REPO)
        runpy.run_path(f'tools/{tool}', run_name='__main__')
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def die_while_writing(name: str) -> None:
    """kill -9 when half of the checkpoint ``name`` is on the disk."""
    write = Path.write_bytes

    def half(path: Path, data: bytes) -> int:
        if name in path.name:
            write(path, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(path, data)

    Path.write_bytes = half


@HOOKS.register_module()
class Interrupt(Hook):
    """Ends the run after ``iteration``: cleanly, or as a scheduler does, whose SIGTERM reaches all processes of a rank,
    data-loader workers included, while the iteration runs; with ``during_validation`` while it validates after it."""

    priority = 'VERY_HIGH'

    def __init__(self, kind: str = '', iteration: int = 0, rank: int = 0, during_validation: bool = False) -> None:
        self.kind, self.iteration, self.rank, self.during_validation = kind, iteration, rank, during_validation

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if not self.during_validation and runner.iter + 1 == self.iteration:
            self._signal(runner)

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if self.during_validation and runner.iter == self.iteration:
            self._signal(runner)

    def _signal(self, runner):
        if self.kind == 'sigterm' and runner.rank == self.rank:
            os.killpg(0, signal.SIGTERM)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.kind == 'clean' and runner.iter + 1 == self.iteration:
            runner.train_loop.stop_training = True
