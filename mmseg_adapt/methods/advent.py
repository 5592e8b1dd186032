"""Vu et al., "ADVENT: Adversarial Entropy Minimization for Domain Adaptation", CVPR 2019, arXiv 1811.12833."""

from __future__ import annotations

import math

import torch
from mmseg.registry import MODELS
from torch import Tensor

from .adaptsegnet import AdaptSegNet

TINY = 1e-30  # as in the released code: a class of probability 0 gets no information and a finite gradient


def self_information(p: Tensor) -> Tensor:
    """Weighted self-information I = −P log P of probabilities (N, C, …), per class and pixel.

    Unit: log C, as in the released code (log₂ P over log₂ C); Sec. 3.2 of the paper uses the plain logarithm. The sum
    over classes, the pixel's entropy, therefore lies in [0, 1]. Half precision is computed and returned as float32,
    since 1e-30 is 0 in float16.
    """
    p = p.float() if p.dtype in (torch.float16, torch.bfloat16) else p
    return -p * torch.log(p + TINY) / math.log(p.shape[1])


@MODELS.register_module()
class AdvEnt(AdaptSegNet):
    """Adversarial entropy minimisation (Sec. 3.2): D sees the weighted self-information of AdaptSegNet's P.

    Arguments and errors: :class:`~mmseg_adapt.methods.AdaptSegNet`.
    """

    def view(self, output: Tensor, image_size: tuple[int, int]) -> Tensor:
        """I at image size: logits (N, C, h, w) → (N, C, H, W)."""
        return self_information(super().view(output, image_size))
