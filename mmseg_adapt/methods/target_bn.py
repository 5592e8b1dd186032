"""Target BN statistics ("ABN"): Li et al., "Revisiting Batch Normalization …", 2016, arXiv 1603.04779."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from mmengine.dist import all_gather_object
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import UserError


class Moments:
    """Mean and variance per channel of all maps seen, merged batch by batch (Chan et al., 1983) in double precision."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, torch.zeros(()), torch.zeros(())  # squares: sum of squared deviations

    def see(self, x: Tensor) -> None:
        """Add a map (N, C, …)."""
        x = x if x.dtype == torch.float64 else x.float()
        variance, mean = torch.var_mean(x, dim=[d for d in range(x.dim()) if d != 1], correction=0)
        count = x.numel() // x.shape[1]
        self.merge(count, mean.double(), variance.double() * count)

    def merge(self, count: int, mean: Tensor, squares: Tensor) -> None:
        total = self.count + count
        apart = mean - self.mean
        self.mean = self.mean + apart * (count / total)
        self.squares = self.squares + squares + apart**2 * (self.count * count / total)
        self.count = total

    def hook(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.see(inputs[0])


@torch.no_grad()
def adapt_bn(model: BaseModel, batches: Iterable[dict]) -> int:
    """Replace the running mean and variance of every BN layer by those of all target images; no other tensor changes.

    As in AdaBN, a layer's statistics are the mean and the unbiased variance of its inputs over every pixel of every
    image (on all ranks), whatever the batch sizes. One pass gathers them. During this pass a layer normalises by the
    current batch, since its own statistics are not known yet. So the first layer's statistics equal those of one huge
    batch exactly; those of deeper layers depend on how images are batched. Everything else (such as dropout) is in
    evaluation mode. Layers that the pass does not reach keep their statistics.

    Args:
        model: an MMSegmentation segmentor or an adapter.
        batches: what a data loader yields; in a distributed run, this rank's part.

    Returns:
        The number of images.

    Raises:
        UserError: If the model has no BN, there is no image, the images of a batch differ in size, or a batch is too
            small to normalise by.
            The model is then unchanged.
    """
    layers = {n: m for n, m in model.named_modules() if isinstance(m, _BatchNorm) and m.track_running_stats}
    if not layers:
        raise UserError('the segmentor has no BN statistics to adapt: choose a segmentor with BN')
    modes = {module: module.training for module in model.modules()}
    before = {layer: {k: v.clone() for k, v in layer.named_buffers()} for layer in layers.values()}
    moments = {name: Moments() for name in layers}
    hooks = [layer.register_forward_pre_hook(moments[name].hook) for name, layer in layers.items()]
    model.eval()
    for layer in layers.values():
        layer.train()
    try:
        images = sum(_see(model, batch) for batch in batches)
    finally:
        for hook in hooks:
            hook.remove()
        for layer, buffers in before.items():
            for name, value in buffers.items():
                getattr(layer, name).copy_(value)
        for module, training in modes.items():
            module.training = training
    images, moments = _of_all_ranks(images, moments)
    if not images:
        raise UserError('there are no target images to adapt BN statistics to: choose a folder that contains some')
    for name, layer in layers.items():
        if (seen := moments[name]).count:
            layer.running_mean.copy_(seen.mean)
            layer.running_var.copy_(seen.squares / (seen.count - 1))
    return images


def _of_all_ranks(images: int, moments: dict[str, Moments]) -> tuple[int, dict[str, Moments]]:
    own = {name: (m.count, m.mean.cpu(), m.squares.cpu()) for name, m in moments.items() if m.count}
    merged = {name: Moments() for name in moments}
    total = 0
    for count, seen in all_gather_object((images, own)):
        total += count
        for name, part in seen.items():
            merged[name].merge(*part)
    return total, merged


def _see(model: BaseModel, batch: dict) -> int:
    if len({tuple(image.shape) for image in batch['inputs']}) > 1:
        raise UserError('the target images differ in size: add Resize to the pipeline, or use batches of one image')
    inputs = model.data_preprocessor(batch, False)['inputs']
    try:
        model(inputs, mode='tensor')
    except ValueError as error:
        if 'more than 1 value per channel' not in str(error):
            raise
        raise UserError(
            f'a BN layer cannot normalise over {len(inputs)} image (its map is 1×1): use a larger batch size'
        ) from None
    return len(inputs)
