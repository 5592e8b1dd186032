"""Write four noise images per part in the layout of Cityscapes → IDD-Lite, for rehearsals without the data."""

from pathlib import Path

import numpy as np
from PIL import Image

PARTS = {  # folder below data/ → (width, height), classes
    'cityscapes_small/{}/train': ((256, 128), 19),
    'idd_lite/{}/train': ((256, 144), 7),
    'idd_lite/{}/val': ((256, 144), 7),
}


def write_noise(data: Path) -> None:
    draw = np.random.default_rng(0)
    for part, ((width, height), classes) in PARTS.items():
        images, labels = (data / part.format(kind) for kind in ('images', 'labels'))
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for i in range(4):
            pixels = draw.integers(0, 256, (height, width, 3), np.uint8)
            ids = draw.integers(0, classes, (height // 16, width // 16), np.uint8).repeat(16, 0).repeat(16, 1)
            Image.fromarray(pixels).save(images / f'{i}.jpg')
            Image.fromarray(ids).save(labels / f'{i}.png')
