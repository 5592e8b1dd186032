"""When and on which images BN statistics are adapted to the target (how: :mod:`mmseg_adapt.methods.target_bn`)."""

from __future__ import annotations

from mmengine.dataset import DefaultSampler
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch.utils.data import DataLoader

from ..datasets.even_batches import EvenBatches
from ..datasets.pipelines import LABEL_LOADERS, steps_of
from ..errors import UserError
from ..methods.target_bn import adapt_bn
from ..methods.turn import unwrapped


def target_loader(runner: Runner, dataset: dict, batch_size: int, num_workers: int) -> DataLoader:
    """Batches of nearly equal size that contain every image of a data set's config once.

    Raises:
        UserError: If the pipeline loads labels, or the data set has no image.
    """
    if labels := [step for step in steps_of(dataset.get('pipeline', ())) if step in LABEL_LOADERS]:
        raise UserError(f"{labels[0]} is in the pipeline of the target's images: remove it, no labels are needed")
    sampler = dict(type=DefaultSampler, shuffle=True, round_up=False)
    batches = dict(type=EvenBatches)
    loader = dict(batch_size=batch_size, num_workers=num_workers, sampler=sampler, batch_sampler=batches)
    loader = runner.build_dataloader(dict(loader, dataset=dataset), seed=0)
    if not len(loader.dataset):
        raise UserError('there are no target images to adapt BN statistics to: choose a folder that contains some')
    return loader


@HOOKS.register_module()
class AdaptBNHook(Hook):
    """Adapt BN statistics to the target at the end of training, before the last checkpoint and validation.

    ``tools/adapt_bn.py`` does the same to a checkpoint.

    Args:
        dataset: config of the target's images; labels are not needed.
        batch_size: maximum number of images to normalise by at a time; the statistics are those of all images.
        num_workers: processes that load them.

    Raises:
        UserError: as :func:`adapt_bn` and :func:`target_loader`.
    """

    priority = 'HIGH'  # before CheckpointGuardHook, which checks what is saved

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
