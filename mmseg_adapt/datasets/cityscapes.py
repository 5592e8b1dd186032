"""Cityscapes: Cordts et al., CVPR 2016; and Cross-City: Chen et al., "No More Discrimination", ICCV 2017."""

from __future__ import annotations

import os.path as osp

from mmseg.datasets import CityscapesDataset
from mmseg.registry import DATASETS

from ..files.listing import files_below
from .id_mapped import IGNORE, IdMappedDataset

# label id → train id, which is the index of the class; all other label ids are ignored
TRAIN_IDS = {
    **{7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12},
    **{26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18},
}
LABEL_IDS = {i: TRAIN_IDS.get(i, IGNORE) for i in (*range(35), IGNORE)}
CLASSES = CityscapesDataset.METAINFO['classes']
PALETTE = CityscapesDataset.METAINFO['palette']
CROSS_CITY = tuple(c for c in CLASSES if c not in ('wall', 'fence', 'pole', 'terrain', 'truck', 'train'))


@DATASETS.register_module()
class CityscapesLabelsDataset(IdMappedDataset):
    """Cityscapes with ``gtFine_labelTrainIds.png`` if they are on disk, else with ``gtFine_labelIds.png``.

    MMSegmentation's ``CityscapesDataset`` needs the former, which a script must create. An explicit
    ``seg_map_suffix`` decides: if it ends with ``TrainIds.png``, the ids are train ids.
    """

    METAINFO = dict(CityscapesDataset.METAINFO)
    ID_MAP = LABEL_IDS
    LABELS = '_gtFine'  # part of a label file's name before _labelIds.png or _labelTrainIds.png

    def __init__(self, img_suffix: str = '_leftImg8bit.png', seg_map_suffix: str | None = None, **kwargs) -> None:
        folder = (kwargs.get('data_prefix') or {}).get('seg_map_path')
        if seg_map_suffix is None:
            seg_map_suffix = f'{self.LABELS}_labelIds.png'
            folder = folder and osp.join(kwargs.get('data_root') or '', folder)
            names = files_below(folder) if folder and osp.isdir(folder) else ()
            if any(name.endswith(f'{self.LABELS}_labelTrainIds.png') for name in names):
                seg_map_suffix = f'{self.LABELS}_labelTrainIds.png'
        if seg_map_suffix.endswith('TrainIds.png'):
            self.ID_MAP = {**{i: i for i in range(len(CLASSES))}, IGNORE: IGNORE}
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)


@DATASETS.register_module()
class CrossCityDataset(IdMappedDataset):
    """Rome, Rio, Tokyo or Taipei: ``<city>/Images/{Train,Test}/``, ``<city>/Labels/Test/<name>_eval.png``; 13 classes.

    Args:
        city: the city's folder.
        split: ``'Train'``, 3 200 images without labels, or ``'Test'``, 100 with.
    """

    METAINFO = dict(classes=CROSS_CITY, palette=[PALETTE[CLASSES.index(name)] for name in CROSS_CITY])
    ID_MAP = {
        key: CROSS_CITY.index(CLASSES[index]) if index != IGNORE and CLASSES[index] in CROSS_CITY else IGNORE
        for key, index in LABEL_IDS.items()
    }

    def __init__(self, city: str, split: str = 'Train', img_suffix: str = '.png', **kwargs) -> None:
        prefix = dict(img_path=osp.join(city, 'Images', split))
        if split == 'Test':
            prefix['seg_map_path'] = osp.join(city, 'Labels', split)
        super().__init__(img_suffix=img_suffix, **{'data_prefix': prefix, 'seg_map_suffix': '_eval.png', **kwargs})
