"""Layer-wise learning-rate decay: ELECTRA (Clark et al., ICLR 2020), BEiT (Bao et al., ICLR 2022, arXiv 2106.08254)."""

from __future__ import annotations

import re

from torch import nn

from ..errors import UserError

BLOCK = re.compile(r'backbone\.(?:.*\.)?(?:blocks|layers)\.(\d+)\.')


def layer_rates(module: nn.Module, decay: float) -> dict[str, float]:
    """Parameter → its learning-rate factor: decay^(blocks − i) in block i of a plain ViT backbone.

    The last block has decay¹, everything before the first block (patches, positions, tokens) decay^(blocks + 1), and
    everything outside the backbone, or after its blocks, 1.

    Raises:
        UserError: If the backbone has no numbered blocks, or the decay is outside (0, 1].
    """
    if not 0 < decay <= 1:
        raise UserError(f'paramwise_cfg.layer_decay = {decay} must be above 0 and at most 1')
    names = [name for name, _ in module.named_parameters()]
    block = {name: int(found[1]) for name in names if (found := BLOCK.match(name))}
    if not block:
        raise UserError('paramwise_cfg.layer_decay needs a plain ViT: the backbone has no blocks.0, blocks.1, …')
    blocks = max(block.values()) + 1
    last = max(names.index(name) for name in block)
    rates = {}
    for place, name in enumerate(names):
        if name in block:
            rates[name] = decay ** (blocks - block[name])
        else:
            before = name.startswith('backbone.') and place < last
            rates[name] = decay ** (blocks + 1) if before else 1.0
    return rates
