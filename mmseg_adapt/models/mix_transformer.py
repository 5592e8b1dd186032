"""MiT, SegFormer's encoder (Xie et al., NeurIPS 2021, arXiv 2105.15203), as DAFormer, HRDA and MIC use it."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmseg.models.backbones import MixVisionTransformer
from mmseg.models.backbones.mit import EfficientMultiheadAttention
from mmseg.models.utils import nchw_to_nlc, nlc_to_nchw
from mmseg.registry import MODELS
from torch import Tensor

from ..weights.selftraining import mit_of

_INNER_EPS = 1e-5  # PyTorch's default


@MODELS.register_module()
class DAFormerMixTransformer(MixVisionTransformer):
    """MMSegmentation's ``MixVisionTransformer`` with MiT-B5's sizes and the released epsilons; key names do not change.

    The LayerNorms of the patch embeddings and of the attention's reduction have eps 1e-5; all others use that of
    ``norm_cfg``, 1e-6. MMSegmentation has one eps for all, so its features differ by 6e-5.

    ``init_cfg=dict(type='Pretrained', checkpoint=…)`` accepts the usual ImageNet ``mit_b5.pth``, whose keys are
    converted, or MMSegmentation's conversion of it.

    Args:
        fused_attention: compute attention with ``scaled_dot_product_attention``. It is the same function, but faster
            and needs less memory than ``nn.MultiheadAttention`` with its weights.

    Shape: (N, 3, H, W) → four maps of stride 4, 8, 16, 32 with ``embed_dims × num_heads`` channels.
    """

    def __init__(
        self,
        embed_dims: int = 64,
        *,
        num_layers: Sequence[int] = (3, 6, 40, 3),
        num_heads: Sequence[int] = (1, 2, 5, 8),
        drop_path_rate: float = 0.1,
        fused_attention: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(
            embed_dims=embed_dims,
            num_layers=num_layers,
            num_heads=num_heads,
            drop_path_rate=drop_path_rate,
            **kwargs,
        )
        for patch_embed, blocks, _ in self.layers:
            patch_embed.norm.eps = _INNER_EPS
            for block in blocks:
                if block.attn.sr_ratio > 1:
                    block.attn.norm.eps = _INNER_EPS
                if fused_attention:
                    block.attn.__class__ = FusedAttention  # the parameters stay the same

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return contiguous maps like the release: MMSegmentation's are channels-last, which makes a dilated depthwise
        convolution on the CPU three times slower."""
        return [stage.contiguous() for stage in super().forward(x)]

    def own_keys(self, found: dict[str, Tensor], path: str) -> dict[str, Tensor]:
        """The tensors of a pretrained file under this module's keys (called by :class:`CheckedPretrainedInit`)."""
        return mit_of(found, path)


class FusedAttention(EfficientMultiheadAttention):
    """MMSegmentation's attention of MiT, using ``scaled_dot_product_attention``: equal to 1e-12 in double precision."""

    def forward(self, x: Tensor, hw_shape: tuple[int, int], identity: Tensor | None = None) -> Tensor:
        reduced = x
        if self.sr_ratio > 1:
            reduced = self.norm(nchw_to_nlc(self.sr(nlc_to_nchw(x, hw_shape))))
        width, weight, bias = self.embed_dims, self.attn.in_proj_weight, self.attn.in_proj_bias
        bias = (None, None) if bias is None else (bias[:width], bias[width:])
        q = F.linear(x, weight[:width], bias[0])
        k, v = F.linear(reduced, weight[width:], bias[1]).chunk(2, -1)
        heads = [t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for t in (q, k, v)]  # (N, heads, tokens, dims)
        dropout = self.attn.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(*heads, dropout_p=dropout).transpose(1, 2).flatten(2)
        out = self.attn.out_proj(attended)
        return (x if identity is None else identity) + self.dropout_layer(self.proj_drop(out))
