"""Map an image's colours to those of a pool, in closed form. Not part of AAN: a baseline that shows what AAN adds.

A pool is described by its mean and covariance only, from the style's ``'colour'`` layer. Between two normal
distributions the optimal transport is linear and symmetric (Olkin and Pukelsheim, 1982; for colours Pitié and Kokaram,
2007): x ↦ μ_t + T (x − μ_s) with T = Σ_s^{−1/2} (Σ_s^{1/2} Σ_t Σ_s^{1/2})^{1/2} Σ_s^{−1/2}.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..errors import UserError
from .gram import Style, gram_matrix

COLOUR = 'colour'  # the layer's name
FAINTEST = 0.25  # variance: a spread of less than half a grey level is rounding


def colour_features(images: Tensor) -> Tensor:
    """Pixels and a constant map; their Gram matrix has first and second moments: (N, 3, H, W) → (N, 4, H, W)."""
    return torch.cat([images, torch.full_like(images[:, :1], 255.0)], 1)


def colour_gram(images: Tensor) -> Tensor:
    """G / (h·w) of :func:`colour_features`, as :class:`Style` stores it for a pool: (N, 4, 4) in double precision."""
    return gram_matrix(colour_features(images.double())) / images[0, 0].numel()


def check_colours(layers: Iterable[str], owner: str) -> None:
    """Raises: UserError: no layer describes colours; ``owner`` is the setting that needs them."""
    if COLOUR not in layers:
        raise UserError(
            f"{owner} needs the target's colours, but the style has the layers {', '.join(layers)}: add 'colour' to "
            'aan.encoder.layers; to give it no weight, set it to 0 in aan.objective.content_weights and style_weights'
        )


def colour_gram_of(style: Style, owner: str) -> Tensor:
    """The colour Gram matrix of the pool, (4, 4). Raises: UserError: see :func:`check_colours`."""
    check_colours(style.grams, owner)
    return style.grams[COLOUR].double()


def moments(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the colours: (…, 4, 4) → (…, 3), (…, 3, 3)."""
    mean = gram[..., :3, 3] / 255
    return mean, gram[..., :3, :3] - mean[..., :, None] * mean[..., None, :]


def colour_count(gram: Tensor) -> Tensor:
    """The number of directions in which the colours spread, 0 … 3: 0 is a single colour, 1 is grey or another line."""
    return (torch.linalg.eigvalsh(moments(gram)[1]) > FAINTEST).sum(-1)


def colour_map(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The affine map from an image's moments to the pool's.

    T is 0 in directions in which the image's colours do not spread. A grey image stays on its line and gets the pool's
    mean and the pool's spread along that line.

    Args:
        source, target: :func:`colour_gram`, (…, 4, 4) each.

    Returns:
        T and c of x ↦ T x + c: (…, 3, 3) symmetric, (…, 3). Always finite.
    """
    (mean_s, cov_s), (mean_t, cov_t) = moments(source), moments(target)
    values, vectors = torch.linalg.eigh(cov_s)
    roots = values.clamp_min(0).sqrt()
    inverse = torch.where(values > FAINTEST, 1 / roots.clamp_min(FAINTEST**0.5), 0.0)
    root, inverse = (vectors * r[..., None, :] @ vectors.mT for r in (roots, inverse))
    values, vectors = torch.linalg.eigh(root @ cov_t @ root)
    matrix = inverse @ (vectors * values.clamp_min(0).sqrt()[..., None, :] @ vectors.mT) @ inverse
    return matrix, mean_t - (matrix @ mean_s[..., None])[..., 0]


def recoloured(images: Tensor, target: Tensor) -> Tensor:
    """Every image with the pool's colours; values may be outside 0–255.

    Args:
        images: (N, 3, H, W) BGR 0–255.
        target: :func:`colour_gram` of the pool, (4, 4).
    """
    matrix, offset = (part.to(images) for part in colour_map(colour_gram(images).cpu(), target.cpu()))
    return (matrix @ images.flatten(2) + offset[..., None]).view_as(images)
