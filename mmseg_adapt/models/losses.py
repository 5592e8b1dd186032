"""The discriminator's objectives: 'vanilla' (AdaptSegNet Eq. 2 and 4) and least squares (Mao et al., ICCV 2017)."""

import torch
import torch.nn.functional as F
from torch import Tensor

DOMAINS = ('source', 'target')
_LABEL = {'source': 0.0, 'target': 1.0}  # the released code's; the paper numbers them the other way round
OBJECTIVES = {'vanilla': F.binary_cross_entropy_with_logits, 'lsgan': F.mse_loss}


def domain_accuracy(score: Tensor, domain: str, objective: str = 'vanilla') -> Tensor:
    """The part of the map, in [0, 1], on which the raw scores of D, any shape, name ``domain``: without a gradient.

    >>> domain_accuracy(torch.tensor([-2.0, -1.0, 3.0, -4.0]), 'source').item()
    0.75
    """
    threshold = 0.0 if objective == 'vanilla' else 0.5
    return ((score.detach() > threshold) == (domain == 'target')).float().mean()


def domain_loss(score: Tensor, domain: str, objective: str = 'vanilla') -> Tensor:
    """How far the raw scores of D, any shape, are from naming ``domain``: a scalar, the mean over the map.

    The paper writes D as a two-channel softmax; one logit with binary cross-entropy is the same function.

    >>> domain_loss(torch.zeros(1, 1, 2, 2), 'source').item()  # doctest: +ELLIPSIS
    0.693147...
    """
    return OBJECTIVES[objective](score, torch.full_like(score, _LABEL[domain]))
