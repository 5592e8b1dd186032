"""Low-rank adapters: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, arXiv 2106.09685."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError

VIT = ('attn.qkv', 'attn.proj', 'mlp.fc1', 'mlp.fc2')  # names in timm's blocks


class LowRankLinear(nn.Linear):
    """W₀ x + b + (α / r) · B A x (Eq. 3): W₀ and b are frozen, A (r, in) and B (out, r) are trained; B starts at 0.

    An ``nn.Linear`` is converted in place and keeps its parameter names, so weight files still fit.
    """

    lora_a: nn.Parameter
    lora_b: nn.Parameter
    scale: float

    def forward(self, x: Tensor) -> Tensor:
        adapted = F.linear(F.linear(x, self.lora_a), self.lora_b)
        return torch.add(super().forward(x), adapted, alpha=self.scale)


def add_low_rank(
    module: nn.Module, rank: int = 16, alpha: float | None = None, layers: Sequence[str] = VIT, name: str = 'backbone'
) -> None:
    """Freeze ``module`` and add an adapter to each linear layer whose name ends in one of ``layers``.

    Args:
        rank: r.
        alpha: α; by default r, so that the adapters' output has factor 1.
        name: the module's name, for messages.

    Raises:
        UserError: If the rank is not low, or there is no such layer.
    """
    module.requires_grad_(False)
    found = [
        (key, layer)
        for key, layer in module.named_modules()
        if isinstance(layer, nn.Linear) and f'.{key}'.endswith(tuple(f'.{end}' for end in layers))
    ]
    if not found:
        raise UserError(f'low_rank.layers = {list(layers)}: {name} has no linear layer with such a suffix: correct it')
    for part in module.modules():
        if getattr(part, 'q_bias', None) is not None:  # then timm's attention uses the weight alone, without the layer
            part.qkv_bias_separate = True
    for key, layer in found:
        if not 1 <= rank < min(layer.weight.shape):
            raise UserError(f'low_rank.rank = {rank} must be at least 1 and less than the sides of {name}.{key}')
        layer.lora_a = nn.Parameter(layer.weight.new_empty(rank, layer.in_features))
        layer.lora_b = nn.Parameter(layer.weight.new_zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(layer.lora_a, a=math.sqrt(5))
        layer.scale = (alpha or rank) / rank
        layer.__class__ = LowRankLinear


@torch.no_grad()
def merge_low_rank(module: nn.Module) -> None:
    """Add every adapter to its layer's weight and remove it: the same function with the original parameters."""
    for layer in module.modules():
        if isinstance(layer, LowRankLinear):
            layer.weight += layer.scale * (layer.lora_b @ layer.lora_a)
            del layer.lora_a, layer.lora_b
            layer.__class__ = nn.Linear
