"""Deterministic weights, images and labels of the self-training reference figures (own code, NumPy only).

A parameter is drawn from its *released* key name (as in lhoyer/MIC: ``backbone.patch_embed1.proj.weight``,
``decode_head.fuse_layer.bottleneck.conv.weight``, ...; vikolss/DACS: its own), in float64, so that any implementation with a
key mapping gets the same numbers. Buffers (BN statistics) keep PyTorch's start: mean 0, variance 1, count 0.
"""

import zlib

import numpy as np

MEAN = np.array([123.675, 116.28, 103.53])
STD = np.array([58.395, 57.12, 57.375])
IGNORE = 255


def tensor(prefix: str, key: str, shape: tuple, seed: int = 0) -> np.ndarray:
    """One parameter. ``prefix``: '' for the student (the teacher starts from it), 'imnet.' for the FD network."""
    rs = np.random.RandomState((zlib.crc32((prefix + key).encode()) + seed) % 2**32)
    if len(shape) >= 2:
        gain = 1.4
        if key.endswith('conv_seg.weight') or '.aspp_modules.' in key and '.conv.' in key:
            gain = 3.0
        if 'conv2d_list' in key:  # head of vikolss/DACS
            gain = 6.0
        return rs.standard_normal(shape) * gain / np.sqrt(np.prod(shape[1:]))
    if key.endswith('weight'):
        return rs.uniform(0.5, 1.5, shape)
    return rs.standard_normal(shape) * 0.1


def _image(rs, n, size, block):
    coarse = rs.uniform(10, 245, (n, 3, size // block, size // block))
    image = np.kron(coarse, np.ones((1, 1, block, block))) + rs.uniform(-40, 40, (n, 3, size, size))
    return np.clip(np.rint(image), 0, 255)


def batch(iteration: int, n: int = 2, size: int = 128, classes: int = 5, block: int = 32, seed: int = 0):
    """Source images and labels and target images of one iteration: RGB, (x - MEAN) / STD, float64 (n, 3, size, size);
    labels int64 (n, 1, size, size), 0..classes-1 and 255. Labels are blocks, so that some survive the downscaling by 32."""
    rs = np.random.RandomState(1000 * seed + iteration)
    source, target = _image(rs, n, size, 16), _image(rs, n, size, 16)
    labels = np.kron(rs.randint(0, classes, (n, 1, size // block, size // block)), np.ones((1, 1, block, block)))
    fine = np.kron(rs.randint(0, classes, (n, 1, size // 8, size // 8)), np.ones((1, 1, 8, 8)))
    labels = np.where(
        np.kron(rs.uniform(size=(n, 1, size // 8, size // 8)) < 0.15, np.ones((1, 1, 8, 8))) > 0, fine, labels
    )
    labels = np.where(rs.uniform(size=labels.shape) < 0.03, IGNORE, labels).astype(np.int64)
    mean, std = MEAN.reshape(1, 3, 1, 1), STD.reshape(1, 3, 1, 1)
    return (source - mean) / std, labels, (target - mean) / std
