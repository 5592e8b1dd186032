"""Cross-entropy one image at a time: logits at label size are the largest tensors of a training step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from mmseg.models.losses import CrossEntropyLoss
from torch import Tensor, nn

EPS = torch.finfo(torch.float32).eps  # mmseg adds it to an explicit number of pixels


class _SumOverImages(torch.autograd.Function):
    """Σ share(i, logits of image i). Its gradient is computed at once, so that nothing of an image is kept."""

    @staticmethod
    def forward(ctx, logits: Tensor, share: Callable[[int, Tensor], Tensor]) -> Tensor:
        total, gradient = 0.0, torch.empty_like(logits, dtype=torch.promote_types(logits.dtype, torch.float32))
        for i in range(len(logits)):
            with torch.enable_grad():
                image = logits[i : i + 1].detach().to(gradient.dtype).requires_grad_()
                value = share(i, image)
            (gradient[i : i + 1],) = torch.autograd.grad(value, image)
            total = total + value.detach()
            del value
        ctx.save_for_backward(gradient)
        ctx.dtype = logits.dtype
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * upstream).to(ctx.dtype), None


def sum_over_images(logits: Tensor, share: Callable[[int, Tensor], Tensor]) -> Tensor:
    """Σᵢ ``share(i, logits[i : i + 1])``, a scalar; the graph of each image is freed before the next one is built.

    In mixed precision the shares are computed in float32.
    """
    if torch.is_grad_enabled() and logits.requires_grad:
        return _SumOverImages.apply(logits, share)
    return sum(share(i, logits[i : i + 1]) for i in range(len(logits)))


def sums_over_pixels(loss: nn.Module) -> bool:
    """Whether a loss is a sum over pixels divided by a number that depends only on the labels."""
    return type(loss) is CrossEntropyLoss and loss.reduction == 'mean' and not (loss.use_sigmoid or loss.use_mask)


def divisor(loss: CrossEntropyLoss, labels: Tensor, ignore_index: int, dtype: torch.dtype) -> Tensor | float:
    """The number by which MMSegmentation divides the sum over labels (N, H, W), without waiting for the device.

    It counts all pixels, or with ``avg_non_ignore`` the valid ones; with ``class_weight`` it sums the weights of the
    valid ones. MMSegmentation itself (upstream 1.2) fails there if pixels are ignored.
    """
    valid = labels != ignore_index
    if loss.class_weight is not None:
        of_class = torch.tensor(loss.class_weight, dtype=dtype, device=labels.device)
        return (of_class[labels.clamp(max=len(of_class) - 1)] * valid).sum() + EPS
    return valid.sum().to(dtype) + EPS if loss.avg_non_ignore else labels.numel()
