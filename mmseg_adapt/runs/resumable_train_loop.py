"""A training loop that resumes where it stopped: at the same sample, with the same augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

from mmengine.dist import get_dist_info
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.registry import DATA_SAMPLERS, DATASETS, LOOPS
from torch.utils.data import DataLoader, Dataset, Sampler

from ..errors import UserError
from ..random_state import derived_seed, kept_random_state, seeded


class Preempted(SystemExit):
    """Raised to leave a validation of ResumableTrainLoop, which then ends as after an iteration. Also raised, once a
    checkpoint is saved, to end a loop that cannot stop early; then nothing catches it and the process exits with 0."""


class SeededSamples(Dataset):
    """Wraps ``dataset``: item (seed, index) is item ``index``, with random numbers that depend only on ``seed``.

    So an augmentation does not depend on the worker or on earlier draws.
    """

    def __init__(self, dataset: dict | Dataset) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, item: tuple) -> dict:
        seed, index = item
        with seeded(seed):
            return self.dataset[index]

    def __getattr__(self, name: str):
        if name == 'dataset':  # not set yet while unpickling
            raise AttributeError(name)
        return getattr(self.dataset, name)


class SampleStream(Sampler):
    """An endless stream of (seed, index): sample p of the run, counted over all ranks, for p = start + rank, + world, …

    ``index`` comes from ``sampler``, pass after pass; ``seed`` depends on the run's seed and p. If the sampler has an
    attribute ``start``, it is set. Otherwise earlier indices are drawn and dropped, without reading samples.
    """

    def __init__(self, dataset: SeededSamples, sampler: dict | Sampler, seed: int | None) -> None:
        if isinstance(sampler, dict):
            sampler = DATA_SAMPLERS.build(sampler, default_args=dict(dataset=dataset.dataset, seed=seed))
        self.sampler = sampler
        self.rank, self.world_size = get_dist_info()
        own = getattr(sampler, 'seed', None)
        self.seed = own if own is not None else seed or 0  # 0 is a seed
        self.start = 0

    def __len__(self) -> int:
        return len(self.sampler)

    def begin(self, start: int, seed: int) -> None:
        """Continue at sample ``start`` of a run whose sampler had ``seed``."""
        self.start, self.seed = start, seed
        if hasattr(self.sampler, 'seed'):
            self.sampler.seed = seed

    def __iter__(self) -> Iterator[tuple[int, object]]:
        numbers = count(self.start + self.rank, self.world_size)
        return ((derived_seed(self.seed, p), index) for p, index in zip(numbers, self._indices()))

    def _indices(self) -> Iterator:
        if hasattr(self.sampler, 'start'):
            self.sampler.start = self.start
            return self._passes()
        return islice(self._passes(), self.start // self.world_size, None)

    def _passes(self) -> Iterator:
        for number in count():
            if hasattr(self.sampler, 'set_epoch'):
                self.sampler.set_epoch(number)
            yield from self.sampler


class LateLoader:
    """A data loader whose workers start with the first batch, when the first sample is known."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator:
        with kept_random_state():  # PyTorch draws the workers' seeds here
            batches = iter(self.loader)
        yield from batches

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str):
        if name == 'loader':  # not set yet while copying
            raise AttributeError(name)
        return getattr(self.loader, name)


@LOOPS.register_module()
class ResumableTrainLoop(IterBasedTrainLoop):
    """``IterBasedTrainLoop`` (same arguments) that can be interrupted and resumed, with any dataset and sampler.

    Unlike ``IterBasedTrainLoop``, a resumed loop does not load all batches again to find its position. Random
    augmentations depend only on the seed and the number of the sample. Validation does not change the random state, and
    an interrupted validation is repeated on resume. :class:`~mmseg_adapt.runs.ExactResumeHook` saves ``state`` in every
    checkpoint.

    Raises:
        UserError: the data loader has already been built.
    """

    def __init__(self, runner: Runner, dataloader: dict, *args, **kwargs) -> None:
        if not isinstance(dataloader, dict):
            raise UserError('ResumableTrainLoop builds its data loader: pass the config, or use IterBasedTrainLoop')
        dataset = dataloader['dataset']
        if isinstance(dataset, dict) and dataset.get('batch_sizes'):
            dataloader = {'collate_fn': dict(type='collate_streams'), **dataloader}
        dataloader = dict(
            dataloader,
            dataset=dict(type=SeededSamples, dataset=dataset),
            sampler=dict(type=SampleStream, sampler=dataloader['sampler']),
        )
        diff_rank_seed = runner._randomness_cfg.get('diff_rank_seed', False)  # as in mmengine's loops
        loader = runner.build_dataloader(dataloader, seed=runner.seed, diff_rank_seed=diff_rank_seed)
        super().__init__(runner, LateLoader(loader), *args, **kwargs)
        self.stream: SampleStream = loader.sampler if loader.batch_size else loader.batch_sampler.sampler
        self.first_iteration = 0

    def state(self, iteration: int) -> dict[str, int]:
        """The position in the data after ``iteration`` iterations: the sampler's seed, and the samples of all ranks."""
        batch_size = self.dataloader.batch_size or self.dataloader.batch_sampler.batch_size
        done = (iteration - self.first_iteration) * batch_size * self.stream.world_size
        return dict(seed=self.stream.seed, samples=self.stream.start + done)

    def resume(self, state: dict[str, int]) -> None:
        """Continue from ``state``. The loop must be at the iteration after which it was taken."""
        self.stream.begin(state['samples'], state['seed'])
        self.first_iteration = self._iter

    def run(self):
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        if self._iter:
            self._validate_if_due()
        self.runner.model.train()  # the model's train() decides which parts stay in evaluation mode
        while self._iter < self._max_iters and not self.stop_training:
            if not self.runner.model.training:  # only after a validation: visiting all modules costs a millisecond
                self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._validate_if_due()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _validate_if_due(self) -> None:
        self._decide_current_val_interval()
        last = self._iter == self._max_iters
        due = self._iter >= self.val_begin and (self._iter % self.val_interval == 0 or last)
        if self.runner.val_loop is None or not due or self.stop_training:
            return
        try:
            with kept_random_state():
                self.runner.val_loop.run()
        except Preempted:
            self.stop_training = True
