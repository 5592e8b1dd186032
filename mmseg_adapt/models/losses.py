"""Losses of a head with a weight per pixel, and the discriminator's objectives."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import CrossEntropyLoss, OhemCrossEntropy
from mmseg.models.utils import resize
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from ..errors import UserError
from .loss_by_image import divisor, sum_over_images, sums_over_pixels

DOMAINS = ('source', 'target')
_LABEL = {'source': 0.0, 'target': 1.0}  # as in the released code; the paper swaps them
# 'vanilla': AdaptSegNet Eq. 2 and 4; 'lsgan': least squares, Mao et al., ICCV 2017
OBJECTIVES = {'vanilla': F.binary_cross_entropy_with_logits, 'lsgan': F.mse_loss}


def domain_accuracy(score: Tensor, domain: str, objective: str = 'vanilla') -> Tensor:
    """The share of the map, in [0, 1], on which D's raw scores, of any shape, name ``domain``. It has no gradient.

    >>> domain_accuracy(torch.tensor([-2.0, -1.0, 3.0, -4.0]), 'source').item()
    0.75
    """
    threshold = 0.0 if objective == 'vanilla' else 0.5
    return ((score.detach() > threshold) == (domain == 'target')).float().mean()


def domain_loss(score: Tensor, domain: str, objective: str = 'vanilla') -> Tensor:
    """The loss of D's raw scores, of any shape, for naming ``domain``: a scalar, the mean over the map.

    The paper writes D as a two-channel softmax; one logit with binary cross-entropy is the same function.

    >>> domain_loss(torch.zeros(1, 1, 2, 2), 'source').item()  # doctest: +ELLIPSIS
    0.693147...
    """
    return OBJECTIVES[objective](score, torch.full_like(score, _LABEL[domain]))


def labels_of(data_samples: list[SegDataSample]) -> Tensor:
    """The label maps of a batch, (N, H, W) int64."""
    return torch.cat([sample.gt_sem_seg.data for sample in data_samples])


def losses_of(head: BaseDecodeHead) -> list[nn.Module]:
    """The losses in ``loss_decode``."""
    return list(head.loss_decode) if isinstance(head.loss_decode, nn.ModuleList) else [head.loss_decode]


def resized(head: BaseDecodeHead, logits: Tensor, labels: Tensor) -> Tensor:
    """Resize a head's logits (N, C, h, w) to the size of labels (N, H, W)."""
    return resize(logits, labels.shape[1:], mode='bilinear', align_corners=head.align_corners, warning=False)


def head_losses(
    head: BaseDecodeHead, logits: Tensor, labels: Tensor, weight: Tensor | None = None, accuracies: bool = True
) -> dict[str, Tensor]:
    """Like ``BaseDecodeHead.loss_by_feat``, but with a weight per pixel and without waiting for the device.

    Shape: ``logits`` (N, C, h, w), resized to the labels; ``labels`` (N, H, W); ``weight`` (N, H, W).

    Args:
        accuracies: whether to return ``acc_seg`` too, which costs an argmax over all classes.

    Raises:
        UserError: If ``weight`` is given for a loss that is not computed per pixel.
    """
    if head.sampler is None and len(losses_of(head)) == 1 and sums_over_pixels(losses_of(head)[0]):
        return losses_by_image(head, logits, labels, weight, accuracies)
    logits = resized(head, logits, labels)
    sampled = None if head.sampler is None else head.sampler.sample(logits, labels[:, None])
    if weight is not None and sampled is not None:
        weight = weight * sampled
    losses: dict[str, Tensor] = {}
    for loss in losses_of(head):
        if weight is None:
            value = mean_loss(loss, logits, labels, sampled, head.ignore_index)
        else:
            value = weighted_loss(loss, logits, labels, weight, head.ignore_index)
        losses[loss.loss_name] = losses[loss.loss_name] + value if loss.loss_name in losses else value
    if accuracies:
        losses['acc_seg'] = pixel_accuracy(logits, labels, head.ignore_index)
    return losses


def losses_by_image(
    head: BaseDecodeHead, logits: Tensor, labels: Tensor, weight: Tensor | None, accuracies: bool
) -> dict[str, Tensor]:
    """:func:`head_losses` for one softmax cross-entropy, without full-size logits of all images at once."""
    (loss,) = losses_of(head)
    dtype = torch.promote_types(logits.dtype, torch.float32)
    count = labels.numel() if weight is not None else divisor(loss, labels, head.ignore_index, dtype)
    right = []

    def share(i: int, image: Tensor) -> Tensor:
        label = labels[i : i + 1]
        image = resized(head, image, label)
        if accuracies:
            right.append(right_pixels(image.detach(), label, head.ignore_index))
        per_pixel = loss(image, label, reduction_override='none', ignore_index=head.ignore_index)
        return (per_pixel if weight is None else per_pixel * weight[i : i + 1]).sum() / count

    losses = {loss.loss_name: sum_over_images(logits, share)}
    if accuracies:
        losses['acc_seg'] = percent(sum(right), labels != head.ignore_index)
    return losses


def pixel_accuracy(logits: Tensor, labels: Tensor, ignore_index: int) -> Tensor:
    """Percent of the valid pixels where ``logits`` (N, C, H, W) agree with ``labels`` (N, H, W), like MMSegmentation's
    ``accuracy``, but without boolean masks, which wait for the device."""
    return percent(right_pixels(logits, labels, ignore_index), labels != ignore_index)


def right_pixels(logits: Tensor, labels: Tensor, ignore_index: int) -> Tensor:
    """The number of valid pixels that are classified correctly, a scalar."""
    named = logits.topk(1, dim=1).indices[:, 0] if logits.shape[1] > 1 else (logits[:, 0] > 0).long()  # else one output
    return ((named == labels) & (labels != ignore_index)).sum()


def percent(right: Tensor, valid: Tensor) -> Tensor:
    eps = torch.finfo(torch.float32).eps
    return (right.float() + eps) * (100.0 / (valid.sum().double() + eps)).float()


def mean_loss(loss: nn.Module, logits: Tensor, labels: Tensor, sampled: Tensor | None, ignore_index: int) -> Tensor:
    """``loss`` averaged as in MMSegmentation: over all pixels, or with ``avg_non_ignore`` over the valid ones.

    The valid pixels are counted on the device, whereas MMSegmentation waits for their number. ``class_weight`` works
    with ignored pixels, where upstream 1.2 fails: the average is over the sum of the valid pixels' class weights.
    """
    if isinstance(loss, OhemCrossEntropy):  # it takes no other arguments: MMSegmentation's own heads call it like this
        return loss(logits, labels)
    count = {}
    if isinstance(loss, CrossEntropyLoss) and not loss.use_sigmoid and not loss.use_mask:
        valid, dtype = labels != ignore_index, torch.promote_types(logits.dtype, torch.float32)
        if loss.class_weight is not None:
            of_class = logits.new_tensor(loss.class_weight, dtype=dtype)
            count = dict(avg_factor=(of_class[labels.clamp(max=len(of_class) - 1)] * valid).sum())
        elif loss.avg_non_ignore:
            count = dict(avg_factor=valid.sum().to(dtype))
        elif sampled is None:  # mmseg adds an epsilon to the number of pixels
            return loss(logits, labels, reduction_override='none', ignore_index=ignore_index).mean()
    return loss(logits, labels, weight=sampled, ignore_index=ignore_index, **count)


def is_per_pixel(loss: nn.Module, channels: int) -> bool:
    """Whether :func:`weighted_loss` accepts a loss of a head with ``channels`` outputs; it tries."""
    logits, labels = torch.zeros(1, channels, 2, 2, device='cpu'), torch.zeros(1, 2, 2, dtype=torch.long, device='cpu')
    try:
        weighted_loss(loss, logits, labels, torch.ones(1, 2, 2, device='cpu'), ignore_index=255)
    except (TypeError, ValueError):  # an unknown argument, or a value that is not a map
        return False
    return True


def weighted_loss(loss: nn.Module, logits: Tensor, labels: Tensor, weight: Tensor, ignore_index: int) -> Tensor:
    """The mean over *all* pixels (N, H, W) of ``loss``, which is 0 at ignored pixels, times ``weight``.

    As in the releases of DACS and DAFormer; the heads of MMSegmentation 1.x do not accept weights.
    """
    per_pixel = loss(logits, labels, reduction_override='none', ignore_index=ignore_index)
    if per_pixel.ndim == 4:  # sigmoid losses, one per class
        per_pixel = per_pixel.mean(1)
    if per_pixel.shape != labels.shape:
        raise UserError(f'{type(loss).__name__} is not a loss per pixel and has no pixel weights: use CrossEntropyLoss')
    return (per_pixel * weight).mean()
