"""Logging without waiting: values of an iteration stay on the device until they are logged."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

KEPT = 1000  # values per history, unless a window is longer
ALL = 1_000_000  # mmengine's own limit


@HOOKS.register_module()
class DeferredLogHook(RuntimeInfoHook):
    """Replaces mmengine's ``RuntimeInfoHook`` (as ``default_hooks.runtime_info``) at a constant cost per iteration.

    mmengine's hook reads every loss in every iteration, so the host waits for the device, and appends it to a history,
    which it copies each time. This hook keeps the values and writes them all to the message hub when an iteration is
    logged, a checkpoint is saved or a validation begins: one transfer, one copy. A history holds what the longest
    window needs, at least 1000 values.
    """

    def __init__(self) -> None:
        self.rows: dict[tuple, list[tuple[tuple[str, ...], Tensor]]] = defaultdict(list)  # by device and type
        self.numbers: dict[str, list[float]] = defaultdict(list)
        self.iterations = 0
        self.kept = KEPT

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        self.kept = longest_window(runner)
        self._bound(runner.message_hub)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        runner.message_hub.update_info('iter', runner.iter)
        self.keep({name: lr[0] for name, lr in runner.optim_wrapper.get_lr().items()})

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        self.keep(outputs or {})
        self.iterations += 1
        if self.iterations >= KEPT or is_logged(runner, batch_idx):
            self.gather(runner.message_hub)

    def after_train_epoch(self, runner: Runner) -> None:
        self.gather(runner.message_hub)

    def before_val(self, runner: Runner) -> None:
        super().before_val(runner)
        self.gather(runner.message_hub)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self.gather(runner.message_hub)
        checkpoint['message_hub'].update(runner.message_hub.state_dict())  # mmengine took its copy before

    def keep(self, values: dict[str, Tensor | float]) -> None:
        """Keep scalars for the log, by name: tensors are copied, but not read."""
        tensors = defaultdict(dict)
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[value.device, value.dtype][name] = value if value.ndim == 0 else value.reshape(())
            else:
                self.numbers[name].append(value.item() if hasattr(value, 'item') else value)
        for kind, named in tensors.items():
            with torch.no_grad():
                self.rows[kind].append((tuple(named), torch.stack(list(named.values()))))

    def gather(self, hub: MessageHub) -> None:
        """Write all kept values to the histories ``train/<name>``."""
        columns, self.numbers = self.numbers, defaultdict(list)
        for rows in self.rows.values():
            names = [name for row, _ in rows for name in row]
            for name, value in zip(names, to_host([values for _, values in rows])):
                columns[name].append(value)
        self.rows.clear()
        self.iterations = 0
        for name, values in columns.items():
            self._append(hub, f'train/{name}', values)
        self._bound(hub)

    def _append(self, hub: MessageHub, key: str, values: list[float]) -> None:
        *earlier, last = values
        if earlier:
            known = hub.log_scalars[key].data if key in hub.log_scalars else (earlier[:0], earlier[:0])
            log = np.concatenate([part for part in (known[0], earlier) if len(part)])
            counts = np.concatenate([part for part in (known[1], [1] * len(earlier)) if len(part)])
            hub.log_scalars[key] = HistoryBuffer(log[-self.kept :], counts[-self.kept :], max_length=self.kept)
        hub.update_scalar(key, last)

    def _bound(self, hub: MessageHub) -> None:
        for name, history in hub.log_scalars.items():
            if name.startswith('train/'):
                history.max_length = self.kept  # takes effect at the next update


def to_host(rows: list[Tensor]) -> list[float]:
    """Convert vectors of one type on one device to numbers: one transfer, for which the host waits."""
    return torch.cat(rows).tolist()


def longest_window(runner: Runner) -> int:
    """The largest number of past values that the log and the hooks use."""
    processor = runner.log_processor
    windows = [processor.window_size, *(entry.get('window_size') for entry in processor.custom_cfg)]
    windows += [getattr(hook, 'window', None) for hook in runner.hooks]
    if any(isinstance(window, str) for window in windows):  # 'global', 'epoch'
        return ALL
    return max(KEPT, *(window for window in windows if isinstance(window, int)))


def is_logged(runner: Runner, batch_idx: int | None = None) -> bool:
    """Whether a log line is written after the current iteration, as mmengine's ``LoggerHook`` decides.

    Args:
        batch_idx: as passed to hooks. The default is the iteration, which differs only in loops by epoch.
    """
    batch_idx = runner.iter if batch_idx is None else batch_idx
    for hook in runner.hooks:
        if not isinstance(hook, LoggerHook):
            continue
        batches = len(runner.train_dataloader)
        at_end = batch_idx + 1 == batches and (not hook.ignore_last or batches <= hook.interval)
        if at_end or hook.every_n_inner_iters(batch_idx, hook.interval):
            return True
    return False


def push(runner: Runner, name: str, value: Tensor | float) -> None:
    """Log a scalar as ``name``; with a :class:`DeferredLogHook`, without waiting for the device."""
    if hook := _hook_of(runner):
        hook.keep({name: value})
    else:
        runner.message_hub.update_scalar(f'train/{name}', value)


def gather(runner: Runner) -> None:
    """Update the message hub's histories to this iteration. At a logged iteration they are up to date already."""
    if hook := _hook_of(runner):
        hook.gather(runner.message_hub)


def _hook_of(runner: Runner) -> DeferredLogHook | None:
    return next((hook for hook in runner.hooks if isinstance(hook, DeferredLogHook)), None)
