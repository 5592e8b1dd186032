"""A quiet start: one screen says what will be trained; the rest goes to the log file."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence

import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import nn

from ..datasets.streams import batch_sizes_of, is_labelled, parts

FRAMEWORKS = ('mmengine', 'mmseg', 'mmcv', 'torch')
# a line per parameter, some as warnings; mmengine's warning that it uses its own deprecated class
TALKATIVE = ('mmengine.optim', 'mmengine.fileio.file_client')


class FrameworksAreSilent(logging.Filter):
    """Pass all messages of this package and the user's code, but only warnings of frameworks until :attr:`started`."""

    started = False

    def filter(self, record: logging.LogRecord) -> bool:
        if self.started or record.levelno >= logging.ERROR:
            return True
        speaker = caller()
        if speaker.startswith(TALKATIVE):
            return False
        return record.levelno >= logging.WARNING or speaker.partition('.')[0] not in FRAMEWORKS


def caller() -> str:
    """The module that logged the line."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get('__name__', '')
        if name != __name__ and not name.startswith(('logging', 'mmengine.logging')):
            return name
        frame = frame.f_back
    return ''


class QuietRunner(Runner):
    """A ``Runner`` whose console shows one screen before the first iteration; the log file holds everything."""

    def build_logger(self, *args, **kwargs) -> logging.Logger:
        logger = super().build_logger(*args, **kwargs)
        self._silence = FrameworksAreSilent()
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(self._silence)
        return logger

    def call_hook(self, fn_name: str, **kwargs) -> None:
        super().call_hook(fn_name, **kwargs)
        if fn_name == 'before_train':
            self._silence.started = True
            self.logger.info('\n' + '\n'.join(screen(self)))


def screen(runner: Runner) -> Iterator[str]:
    """What is trained on what, by whom, for how long, and where the output goes: one line each."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    yield f'config       {runner.cfg.filename}'
    yield from images(runner)
    yield f'model        {type(model).__name__}, {device_of(runner)}'
    for name, part in model.named_children():
        if numbers := parameters(part):
            yield f'{name:12} {network(part)}, {numbers}'
    yield from optimisers(runner)
    loop, hooks = runner.train_loop, runner.cfg.get('default_hooks') or {}
    done = f'{loop.iter} done, ' if loop.iter else ''
    saved = (hooks.get('checkpoint') or {}).get('interval')
    yield f'iterations   {loop.max_iters:,}, {done}validation every {loop.val_interval:,}, checkpoint every {saved:,}'
    yield f'seed         {runner.seed}'
    yield f'work dir     {runner.work_dir}'
    yield f'log          {runner.log_dir}/{runner.timestamp}.log'


def images(runner: Runner) -> Iterator[str]:
    """For each stream: its size, its images per batch, and its folders."""
    dataset = runner.train_dataloader.dataset
    sizes = batch_sizes_of(runner.cfg.train_dataloader)
    for name, stream in getattr(dataset, 'domains', {'source': dataset}).items():
        folders = dict.fromkeys(str(part.data_prefix.get('img_path')) for _, part in parts(stream))
        labels = 'labels' if is_labelled(name) else 'no labels'
        batch = sizes.get(name, runner.train_dataloader.batch_size)
        yield f'{name:12} {len(stream):,} images, {labels}, {batch} per batch: {", ".join(folders)}'


def network(part: nn.Module) -> str:
    inner = [getattr(part, name, None) for name in ('backbone', 'decode_head', 'auxiliary_head')]
    names = [type(module).__name__ for module in inner if module is not None]
    return ' + '.join(names) or type(part).__name__


def parameters(part: nn.Module) -> str:
    total = sum(p.numel() for p in part.parameters())
    learned = sum(p.numel() for p in part.parameters() if p.requires_grad)
    if not total:
        return ''
    rest = '' if learned == total else f', {"none" if not learned else f"{learned / 1e6:.2f} M"} trained'
    return f'{total / 1e6:.2f} M parameters{rest}'


def optimisers(runner: Runner) -> Iterator[str]:
    wrappers = runner.optim_wrapper
    for name, wrapper in wrappers.items() if isinstance(wrappers, OptimWrapperDict) else [('the model', wrappers)]:
        rates = sorted({group.get('initial_lr', group['lr']) for group in wrapper.optimizer.param_groups})
        kind = '' if type(wrapper) is OptimWrapper else f' in {type(wrapper).__name__}'
        yield f'optimiser    {type(wrapper.optimizer).__name__}{kind} for {name}, learning rate {span(rates)}'


def span(values: Sequence[float]) -> str:
    return f'{values[0]:g}' if len(values) == 1 else f'{values[0]:g} … {values[-1]:g}'


def device_of(runner: Runner) -> str:
    place = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
    return f'{place}, {runner.world_size} processes' if runner.world_size > 1 else f'on {place}'
