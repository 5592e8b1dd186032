"""Target BN statistics ("ABN"): Li et al., "Revisiting Batch Normalization …", 2016, arXiv 1603.04779."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from ..datasets.domain_pair import LABEL_LOADERS, steps_of
from ..errors import UserError


@torch.no_grad()
def adapt_bn(model: BaseModel, batches: Iterable[dict]) -> int:
    """Replace the running mean and variance of every BN layer by those of one pass; no other tensor changes.

    A layer's new statistics are the means, over batches, of the batch's mean and unbiased variance. The layers before
    it normalise by the batch meanwhile, and all else (dropout, say) is in evaluation mode. Layers that the pass does
    not reach keep theirs.

    Args:
        model: an MMSegmentation segmentor or an :class:`~mmseg_adapt.methods.AdversarialAdapter`.
        batches: what a data loader yields; batches of equal size give every image the same weight.

    Returns:
        The number of images.

    Raises:
        UserError: a model without BN, no image, images of several sizes in a batch, a batch too small to normalise by.
            The model is then as it was.
    """
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not layers:
        raise UserError('the segmentor has no BN layer whose statistics could be adapted')
    modes = {module: module.training for module in model.modules()}
    before = {layer: (layer.momentum, {k: v.clone() for k, v in layer.named_buffers()}) for layer in layers}
    model.eval()
    for layer in layers:
        layer.train()
        layer.reset_running_stats()
        layer.momentum = None  # PyTorch's cumulative average
    images = 0
    try:
        images = sum(_see(model, batch) for batch in batches)
    finally:
        for layer, (momentum, buffers) in before.items():
            reached = images > 0 and layer.num_batches_tracked > 0
            layer.momentum = momentum
            for name in ('num_batches_tracked',) if reached else buffers:
                getattr(layer, name).copy_(buffers[name])
        for module, training in modes.items():
            module.training = training
    if not images:
        raise UserError('no batch of target images to adapt BN statistics to: name a folder that holds enough of them')
    return images


def _see(model: BaseModel, batch: dict) -> int:
    if len({tuple(image.shape) for image in batch['inputs']}) > 1:
        raise UserError('the target images differ in size: add a Resize to the pipeline, or use batches of one image')
    inputs = model.data_preprocessor(batch, False)['inputs']
    try:
        model(inputs, mode='tensor')
    except ValueError as error:
        if 'more than 1 value per channel' not in str(error):
            raise
        raise UserError(
            f'a BN layer cannot normalise by {len(inputs)} image alone (its map is 1×1): use a larger batch size'
        ) from None
    return len(inputs)


def target_loader(runner: Runner, dataset: dict, batch_size: int, num_workers: int) -> DataLoader:
    """Batches of equal size from all images of a data set's config; a rest is left out.

    Raises:
        UserError: a pipeline that loads labels; fewer images than ``batch_size``.
    """
    if labels := [step for step in steps_of(dataset.get('pipeline', ())) if step in LABEL_LOADERS]:
        raise UserError(f"{labels[0]} is in the pipeline of the target's images: remove it, labels are not needed")
    sampler = dict(type='DefaultSampler', shuffle=True)
    loader = dict(batch_size=batch_size, num_workers=num_workers, sampler=sampler, drop_last=True, dataset=dataset)
    loader = runner.build_dataloader(loader, seed=0)
    if not len(loader):
        raise UserError(f'fewer target images than a batch of {batch_size} to adapt BN to: lower it, or add images')
    return loader


@HOOKS.register_module()
class AdaptBNHook(Hook):
    """Adapt BN statistics to the target when training is over, before the last checkpoint and validation.

    ``tools/adapt_bn.py`` does the same to a checkpoint.

    Args:
        dataset: config of the target's images, whose labels are not needed.
        batch_size: images to normalise by at a time; a rest is left out.
        num_workers: processes that load them.

    Raises:
        UserError: as :func:`adapt_bn` and :func:`target_loader`.
    """

    priority = 'HIGH'  # before CheckpointGuardHook, which takes the mean over ranks

    def __init__(self, dataset: dict, batch_size: int = 4, num_workers: int = 0) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.num_workers = num_workers

    def before_train(self, runner: Runner) -> None:
        self.batches = target_loader(runner, self.dataset, self.batch_size, self.num_workers)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if self.is_last_train_iter(runner):
            model = runner.model.module if is_model_wrapper(runner.model) else runner.model
            images = adapt_bn(model, self.batches)
            runner.logger.info(f'BN statistics adapted to {images} target images')
