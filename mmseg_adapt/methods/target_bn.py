"""Target BN statistics ("ABN"): Li et al., "Revisiting Batch Normalization …", 2016, arXiv 1603.04779."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from mmengine.model import BaseModel
from torch.nn.modules.batchnorm import _BatchNorm

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
