"""Handle preemption by a scheduler: on SIGTERM save, stop and exit with 0."""

from __future__ import annotations

import atexit
import multiprocessing
import signal
import threading
from functools import partial
from pathlib import Path

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmseg.registry import HOOKS

from ..errors import UserError
from .resumable_train_loop import Preempted, ResumableTrainLoop


def ignore_signals(worker_id: int, signals: tuple[int, ...], then=None) -> None:
    """Run first in each data-loader worker: a signal to all processes must not end it before the last iteration."""
    for number in signals:
        signal.signal(number, signal.SIG_IGN)
    if then is not None:
        then(worker_id)


def end_workers() -> None:
    """At exit: multiprocessing ends workers with SIGTERM, which they ignore, and would wait for ever."""
    workers = [process for process in multiprocessing.active_children() if process.daemon]
    if workers:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler would report them as killed
    for process in workers:
        process.kill()


@HOOKS.register_module()
class PreemptionHook(Hook):
    """On a signal, save a checkpoint and end the run after the current iteration; ``--resume`` continues from there.

    All ranks stop after the same iteration, whichever rank received the signal. A validation stops after the current
    image. A loop that cannot stop early (``EpochBasedTrainLoop``) is ended by :class:`Preempted`, which exits with 0;
    its epoch is repeated on resume.

    Args:
        signals: names; schedulers send SIGTERM, and Slurm another one on request (``#SBATCH --signal=USR1@120``).
        every: number of iterations between checks whether another rank received a signal, through the existing process
            group. A single process stops immediately.

    Raises:
        UserError: a name is not a signal; ``every`` is below 1.
    """

    priority = 'HIGH'  # before the hooks that prepare a checkpoint

    def __init__(self, signals: str | tuple[str, ...] = ('SIGTERM',), every: int = 10) -> None:
        names = (signals,) if isinstance(signals, str) else signals
        if unknown := [name for name in names if name not in signal.Signals.__members__]:
            raise UserError(f'PreemptionHook.signals has {unknown}: use names such as SIGTERM, SIGUSR1')
        if every < 1:
            raise UserError(f'PreemptionHook.every = {every} must be at least 1')
        self.signals = tuple(signal.Signals[name] for name in names)
        self.every = every
        self.received: str | None = None
        self.stopping = self.training = False
        self.previous: dict = {}

    def before_train(self, runner: Runner) -> None:
        self.training = True
        atexit.register(end_workers)
        for loop in filter(None, (runner.train_loop, runner.val_loop)):
            loader = getattr(loop.dataloader, 'loader', loop.dataloader)
            loader.worker_init_fn = partial(ignore_signals, signals=self.signals, then=loader.worker_init_fn)
            if isinstance(loop, EpochBasedTrainLoop) and hasattr(loader.sampler, 'by_epoch'):
                loader.sampler.by_epoch = True  # otherwise the first epoch would never end
        if threading.current_thread() is not threading.main_thread():
            return  # Python handles signals only in the main thread
        for number in self.signals:
            self.previous[number] = signal.signal(number, self._receive)

    def _receive(self, number: int, frame) -> None:
        self.received = signal.Signals(number).name

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        if self.stopping:  # the loop did not stop by itself
            self._leave(runner)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if self._agree(runner, runner.iter):
            runner.train_loop.stop_training = True

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if not self.training:
            return
        loader = runner.val_loop.dataloader
        batches = len(loader.dataset) // ((loader.batch_size or 1) * runner.world_size)  # on every rank
        if (batch_idx < batches or not runner.distributed) and self._agree(runner, batch_idx):
            if isinstance(runner.train_loop, ResumableTrainLoop):
                raise Preempted
            self._leave(runner)

    def _agree(self, runner: Runner, number: int) -> bool:
        """Whether any rank has received a signal. All ranks agree on it once per ``every`` iterations."""
        if not runner.distributed:
            self.stopping = self.received is not None
        elif (number + 1) % self.every == 0:
            flag = torch.tensor(float(self.received is not None))
            all_reduce(flag, op='max')
            self.stopping = bool(flag)
        return self.stopping

    def after_train_epoch(self, runner: Runner) -> None:
        if self.stopping:
            self._save(runner)

    def _leave(self, runner: Runner) -> None:
        self._save(runner)
        self.after_run(runner)
        raise Preempted

    def _save(self, runner: Runner) -> None:
        hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
        if hook is None:
            runner.logger.warning(f'{self.received or "a signal"}: stopping; nothing is saved without a CheckpointHook')
            return
        iteration, meta = runner.iter, dict(epoch=runner.epoch, iter=runner.iter)
        if hook.by_epoch:  # its names count epochs, but this epoch has not ended
            name = f'iter_{iteration}.pth'
            runner.save_checkpoint(hook.out_dir, name, meta=meta, by_epoch=False, backend_args=hook.backend_args)
            if runner.rank == 0:
                last = hook.file_backend.join_path(hook.out_dir, name)
                Path(runner.work_dir, 'last_checkpoint').write_text(str(last))
        elif runner.message_hub.runtime_info.get('last_ckpt') != hook.file_backend.join_path(
            hook.out_dir, hook.filename_tmpl.format(iteration)
        ):
            hook._save_checkpoint_with_step(runner, iteration, meta=meta)
        runner.logger.info(
            f'{self.received or "a signal to another rank"}: saved after iteration {iteration}; continue with --resume'
        )

    def after_run(self, runner: Runner) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)
