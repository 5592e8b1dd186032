"""A training loop that goes on where it stopped: at the same sample, which is augmented in the same way."""

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
    """Raised out of what has to make way: a validation of ResumableTrainLoop, which then ends as after an iteration, or
    a loop that nothing else ends, when a checkpoint is saved. Nobody catches that one: the process exits with 0."""


class SeededSamples(Dataset):
    """``dataset`` whose item (seed, index) is item ``index``, made with random numbers from ``seed`` alone.

    So an augmentation depends on neither the worker that makes it nor on what was drawn before.
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
        if name == 'dataset':  # not there yet: it is being unpickled
            raise AttributeError(name)
        return getattr(self.dataset, name)


class SampleStream(Sampler):
    """An endless stream of (seed, index): sample p of the run, counted over all ranks, for p = start + rank, + world, …

    ``index`` is what ``sampler`` yields, pass after pass; ``seed`` depends on the run's seed and p. A sampler with an
    attribute ``start`` is told where to begin; of any other the indices before are drawn and dropped, no sample read.
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
        """Go on at sample ``start`` of the run whose sampler had ``seed``."""
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
    """A data loader whose workers start with the first batch, when it is known at which sample to begin."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator:
        with kept_random_state():  # PyTorch draws the workers' seeds here
            batches = iter(self.loader)
        yield from batches

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str):
        if name == 'loader':  # not there yet: it is being copied
            raise AttributeError(name)
        return getattr(self.loader, name)


@LOOPS.register_module()
class ResumableTrainLoop(IterBasedTrainLoop):
    """``IterBasedTrainLoop``, arguments and all, for any dataset and sampler, whose run can be interrupted and resumed.

    Unlike ``IterBasedTrainLoop``, a resumed loop does not load all batches again to find its place, random
    augmentations depend on the seed and the number of the sample alone, validation leaves the random state as it was,
    and a validation that an interruption cut off is made up for. :class:`~mmseg_adapt.engine.ExactResumeHook` keeps
    ``state`` in every checkpoint.

    Raises:
        UserError: a data loader that is built already.
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
        diff_rank_seed = runner._randomness_cfg.get('diff_rank_seed', False)  # as mmengine's loops
        loader = runner.build_dataloader(dataloader, seed=runner.seed, diff_rank_seed=diff_rank_seed)
        super().__init__(runner, LateLoader(loader), *args, **kwargs)
        self.stream: SampleStream = loader.sampler if loader.batch_size else loader.batch_sampler.sampler
        self.first_iteration = 0

    def state(self, iteration: int) -> dict[str, int]:
        """Where the data stand after ``iteration`` iterations: the sampler's seed, and the samples of all ranks."""
        batch_size = self.dataloader.batch_size or self.dataloader.batch_sampler.batch_size
        done = (iteration - self.first_iteration) * batch_size * self.stream.world_size
        return dict(seed=self.stream.seed, samples=self.stream.start + done)

    def resume(self, state: dict[str, int]) -> None:
        """Go on from ``state``, for which the loop stands at the iteration that it was taken after."""
        self.stream.begin(state['samples'], state['seed'])
        self.first_iteration = self._iter

    def run(self):
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        if self._iter:
            self._validate_if_due()
        self.runner.model.train()  # a model's own train() decides which parts stay in evaluation mode
        while self._iter < self._max_iters and not self.stop_training:
            if not self.runner.model.training:  # after a validation: a walk over all modules costs a millisecond
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
