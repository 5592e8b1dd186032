"""Pre-labels as the annotation tools' own libraries read them: ``tests/read_back.py cvat|labelstudio FILE OUT.npz``.

A script for the environment that ``make formats`` makes: datumaro (CVAT's reader) and label-studio-sdk bring versions
of NumPy and OpenCV of their own. OUT holds an array per image and class, ``NAME/CLASS``: (H, W) bool.
"""

import json
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np


def cvat(file: str) -> dict[str, np.ndarray]:
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset

    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(file).extractall(folder)
        data = Dataset.import_from(folder, 'voc_instance_segmentation')
        names = [label.name for label in data.categories()[AnnotationType.label].items]
        return {f'{item.id}/{names[mask.label]}': np.bool_(mask.image) for item in data for mask in item.annotations}


def labelstudio(file: str) -> dict[str, np.ndarray]:
    from label_studio_sdk.converter.brush import decode_from_annotation

    masks = {}
    for task in json.loads(Path(file).read_text()):
        results = task['predictions'][0]['result']
        layers = decode_from_annotation('brush', [{**result, **result['value']} for result in results])
        name = task['data']['image'].partition('?d=')[2].rpartition('.')[0]
        masks |= {f'{name}/{key.split("-")[1]}': layer > 0 for key, layer in layers.items()}
    return masks


if __name__ == '__main__':
    kind, source, out = sys.argv[1:]
    np.savez_compressed(out, **{'cvat': cvat, 'labelstudio': labelstudio}[kind](source))
