"""Style as Gram matrices: for one image, and the mean over a pool of target images."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import UserError, first_line


def at_least_single(features: Tensor) -> Tensor:
    """Convert half precision to float32: sums over thousands of positions overflow."""
    return features.float() if features.dtype in (torch.float16, torch.bfloat16) else features


def gram_matrix(features: Tensor) -> Tensor:
    """G^{ij} = ⟨M^i, M^j⟩, not normalised (Zhang et al., CVPR 2018, Eq. 2): (N, C, h, w) → (N, C, C), float32 or more.

    >>> gram_matrix(torch.tensor([[[[1., 2.]], [[3., 4.]]]])).tolist()
    [[[5.0, 11.0], [11.0, 25.0]]]
    """
    return _Gram.apply(at_least_single(features).flatten(2))


class _Gram(torch.autograd.Function):
    """M Mᵀ. Autograd's own gradient multiplies twice, as if the factors were independent: a sixth of AAN's time."""

    @staticmethod
    def forward(ctx, maps: Tensor) -> Tensor:
        ctx.save_for_backward(maps)
        with torch.autocast(maps.device.type, enabled=False):
            return maps @ maps.transpose(1, 2)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (maps,) = ctx.saved_tensors
        with torch.autocast(maps.device.type, enabled=False):
            return (gradient + gradient.transpose(1, 2)) @ maps


@dataclass
class Style:
    """What AAN knows of the target domain.

    Attributes:
        grams: layer → mean over the pool of G_t / (h·w), float32 (C, C). An image is compared with this matrix times
            its own h·w. At the pool's size this is the paper's Ḡ_t; at other sizes it extends it.
        about: what it was made from: encoder, layers, number of images, fingerprint of the files.
    """

    grams: dict[str, Tensor]
    about: dict = field(default_factory=dict)

    def to(self, device: torch.device | str) -> Style:
        return Style({name: gram.to(device) for name, gram in self.grams.items()}, self.about)

    def dumps(self) -> bytes:
        """Equal styles give equal bytes."""
        buffer = io.BytesIO()
        torch.save(dict(grams={k: v.cpu() for k, v in self.grams.items()}, about=self.about), buffer)
        return buffer.getvalue()

    @classmethod
    def load(cls, path: str | Path) -> Style:
        """Raises: UserError: the file is not a style."""
        try:
            return cls(**torch.load(path, weights_only=True))
        except Exception as error:  # torch.load passes on errors of pickle, zipfile and its reader
            raise UserError(f'{path} is not a style file ({first_line(error)}): remove it') from error


@torch.no_grad()
def style_of(encoder: nn.Module, images: Iterable[Tensor]) -> Style:
    """The mean Gram matrices of a pool, in one pass; memory is that of one batch.

    Args:
        encoder: images → layer → features.
        images: batches (N, 3, H, W) of BGR 0–255; sizes may differ from batch to batch.

    Raises:
        UserError: If the pool is empty.
    """
    sums: dict[str, Tensor] = {}
    count = 0
    for batch in images:
        for name, features in encoder(batch).items():
            gram = gram_matrix(features).double().sum(0) / features[0, 0].numel()
            sums[name] = sums[name] + gram if name in sums else gram
        count += len(batch)
    if not count:
        raise UserError('there are no target images: pass a folder of images with --target')
    return Style({name: (total / count).float() for name, total in sums.items()}, dict(images=count))
