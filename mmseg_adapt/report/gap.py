"""Measures of the distance between two sets of images: pure functions of features, (images, d) float arrays.

A linear model that tries to tell the folders apart (a domain classifier: Ben-David et al., "A theory of learning from
different domains", 2010), the kernel distance used for generative models, and AAN's Gram matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

WIDTH = 128  # pixels: images are shrunk to this width before they are described
FOLDS = 5
SMALL = 0.25  # from this error of the classifier on, the gap is small


@dataclass(frozen=True)
class Told:
    """The result of the domain classifier."""

    error: float  # share of held-out images assigned to the wrong set; 0.5 is chance
    scores: tuple[np.ndarray, np.ndarray]  # per source and target image; larger is more like the target

    @property
    def chance(self) -> float:
        """How far from 0.5 the error may be by chance: two standard deviations for this many images, at least 0.05."""
        return max(0.05, 1 / sum(map(len, self.scores)) ** 0.5)

    def words(self) -> str:
        """No gap, a small gap or a gap, with the number."""
        percent = f'a linear model tells the two sets apart in {100 * (1 - self.error):.1f} % of cases'
        if self.error >= 0.5 - self.chance:
            return f'no gap: {percent}, chance is 50 %'
        return f'{"a small gap" if self.error >= SMALL else "a gap"}: {percent}'


def describe(image: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Describe an image (H, W, 3) BGR uint8 without a network.

    Returns:
        ``brightness`` and ``contrast`` (mean and standard deviation of the luma, 0 … 255), ``sharpness`` (mean absolute
        Laplacian divided by the contrast), ``width`` and ``height`` in pixels; and 41 features of the image shrunk to
        :data:`WIDTH`: means and deviations of luma and chroma, the histogram of the luma, the energy of three
        Laplacian scales per channel, the histogram of edge directions.
    """
    luma = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    contrast = float(luma.std())
    sharpness = float(np.abs(cv2.Laplacian(luma, cv2.CV_32F)).mean()) / max(contrast, 1e-6)
    numbers = dict(
        brightness=float(luma.mean()),
        contrast=contrast,
        sharpness=sharpness,
        width=float(image.shape[1]),
        height=float(image.shape[0]),
    )
    return numbers, _features(image)


def _features(image: np.ndarray) -> np.ndarray:
    height = max(8, round(image.shape[0] * WIDTH / image.shape[1]))
    small = cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA)
    channels = cv2.cvtColor(small, cv2.COLOR_BGR2YCrCb).astype(np.float32).transpose(2, 0, 1)
    moments = [x for c in channels for x in (c.mean(), c.std())]
    histogram = np.histogram(channels[0], bins=16, range=(0, 256))[0] / channels[0].size
    energy = [np.log1p(scale.std()) for c in channels for scale in _laplacians(c)]
    dx, dy = (cv2.Sobel(channels[0], cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    angles, weights = np.arctan2(dy, dx) % np.pi, np.hypot(dx, dy)
    edges = np.histogram(angles, bins=10, range=(0, np.pi), weights=weights)[0] / max(weights.sum(), 1e-6)
    return np.concatenate([moments, histogram, energy, edges]).astype(float)


def _laplacians(channel: np.ndarray, scales: int = 3) -> list[np.ndarray]:
    found = []
    for _ in range(scales):
        coarse = cv2.pyrDown(channel)
        found.append(channel - cv2.pyrUp(coarse, dstsize=channel.shape[::-1]))
        channel = coarse
    return found


def tell_apart(source: np.ndarray, target: np.ndarray, ridge: float = 1.0) -> Told:
    """A ridge classifier of (n, d) against (m, d), cross-validated in :data:`FOLDS` folds.

    The training folds standardise the features. Both sets have the same weight, whatever their number of images. The
    error is the mean of the errors on the two sets.

    Args:
        ridge: penalty on the weights, in units of the features' mean variance times d, so that a few images with many
            features are not separable by chance.
    """
    x = np.concatenate([source, target])
    y = np.repeat([-1.0, 1.0], [len(source), len(target)])
    folds, scores = _folds(len(source), len(target)), np.zeros(len(x))
    for fold in range(min(FOLDS, len(source), len(target))):
        train = folds != fold
        mean, spread = x[train].mean(0), x[train].std(0)
        z = (x - mean) / np.where(spread > 1e-9, spread, np.inf)
        weight = np.where(y[train] < 0, 1 / (y[train] < 0).sum(), 1 / (y[train] > 0).sum())
        a = z[train] * weight[:, None]
        gram = a.T @ z[train] + ridge * np.eye(x.shape[1]) * x.shape[1] / train.sum()
        w = np.linalg.solve(gram, a.T @ y[train])
        centre = (z[train] @ w * weight).sum() / 2
        scores[folds == fold] = z[folds == fold] @ w - centre
    of_source, of_target = scores[: len(source)], scores[len(source) :]
    error = ((of_source > 0).mean() + (of_target <= 0).mean()) / 2
    return Told(float(error), (of_source, of_target))


def _folds(n: int, m: int) -> np.ndarray:
    rng, folds = np.random.default_rng(0), min(FOLDS, n, m)
    return np.concatenate([rng.permutation(np.arange(count) % folds) for count in (n, m)])


def kernel_distance(source: np.ndarray, target: np.ndarray, subsets: int = 20, size: int = 50) -> tuple[float, float]:
    """KID (Bińkowski et al., ICLR 2018): the unbiased squared MMD under k(x, y) = (x · y / d + 1)³, times 1000.

    Features are standardised over both sets together, so that their scale does not matter.

    Returns:
        Mean and standard deviation over random subsets of at most ``size`` images of each set.
    """
    both = np.concatenate([source, target])
    spread = both.std(0)
    spread = np.where(spread > 1e-9, spread, np.inf)
    rng, size = np.random.default_rng(0), min(size, len(source), len(target))
    found = []
    for _ in range(subsets):
        x, y = ((s[rng.choice(len(s), size, replace=False)] - both.mean(0)) / spread for s in (source, target))
        found.append(1000 * _mmd(x, y))
    return float(np.mean(found)), float(np.std(found))


def _mmd(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a: np.ndarray) -> float:
        k = kernel(a, a)
        return (k.sum() - np.trace(k)) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()


def gram_distance(source: np.ndarray, target: np.ndarray) -> float:
    """‖Ḡ_s − Ḡ_t‖ / ‖Ḡ_t‖ for mean Gram matrices (C, C) over h · w: how far AAN has to go (Zhang et al., CVPR 2018)."""
    return float(np.linalg.norm(source - target) / max(np.linalg.norm(target), 1e-12))
