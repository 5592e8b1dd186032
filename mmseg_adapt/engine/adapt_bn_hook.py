"""When and on which images BN statistics are adapted to the target (how: :mod:`mmseg_adapt.methods.target_bn`)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mmengine.dataset import DefaultSampler
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch.utils.data import DataLoader, Sampler

from ..datasets.pipelines import LABEL_LOADERS, steps_of
from ..errors import UserError
from ..methods.target_bn import adapt_bn
from ..methods.turn import unwrapped


class EvenBatches(Sampler):
    """All of a rank's samples in batches of at most ``batch_size``, whose sizes differ by one at most.

    So no batch is left of which a layer could not take a variance, and every rank has as many batches as the others
    (SyncBN waits for them).
    """

    def __init__(self, sampler: DefaultSampler, batch_size: int) -> None:
        self.sampler = sampler
        most = math.ceil(len(sampler.dataset) / sampler.world_size)  # images of a rank
        self.count = math.ceil(most / batch_size)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[list[int]]:
        samples = list(self.sampler)
        return iter([samples[i :: self.count] for i in range(min(self.count, len(samples)))])


def target_loader(runner: Runner, dataset: dict, batch_size: int, num_workers: int) -> DataLoader:
    """Batches of nearly equal size that hold every image of a data set's config once.

    Raises:
        UserError: a pipeline that loads labels; no image.
    """
    if labels := [step for step in steps_of(dataset.get('pipeline', ())) if step in LABEL_LOADERS]:
        raise UserError(f"{labels[0]} is in the pipeline of the target's images: remove it, labels are not needed")
    sampler = dict(type=DefaultSampler, shuffle=True, round_up=False)
    batches = dict(type=EvenBatches)
    loader = dict(batch_size=batch_size, num_workers=num_workers, sampler=sampler, batch_sampler=batches)
    loader = runner.build_dataloader(dict(loader, dataset=dataset), seed=0)
    if not len(loader.dataset):
        raise UserError('no target image to adapt BN statistics to: name a folder that holds some')
    return loader


@HOOKS.register_module()
class AdaptBNHook(Hook):
    """Adapt BN statistics to the target when training is over, before the last checkpoint and validation.

    ``tools/adapt_bn.py`` does the same to a checkpoint.

    Args:
        dataset: config of the target's images, whose labels are not needed.
        batch_size: images to normalise by at a time, at most; the statistics are those of all images.
        num_workers: processes that load them.

    Raises:
        UserError: as :func:`adapt_bn` and :func:`target_loader`.
    """

    priority = 'HIGH'  # before CheckpointGuardHook, which looks at what is saved

    def __init__(self, dataset: dict, batch_size: int = 4, num_workers: int = 0) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.num_workers = num_workers

    def before_train(self, runner: Runner) -> None:
        self.batches = target_loader(runner, self.dataset, self.batch_size, self.num_workers)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if self.is_last_train_iter(runner):
            model = unwrapped(runner.model)
            images = adapt_bn(model, self.batches)
            runner.logger.info(f'BN statistics adapted to {images} target images')
