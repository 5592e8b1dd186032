"""SYNTHIA-RAND-CITYSCAPES: Ros et al., CVPR 2016."""

from __future__ import annotations

from mmseg.datasets import CityscapesDataset
from mmseg.registry import DATASETS

from .id_mapped import IGNORE, IdMappedDataset

TRAIN_IDS = {
    **{3: 0, 4: 1, 2: 2, 21: 3, 5: 4, 7: 5, 15: 6, 9: 7, 6: 8, 16: 9, 1: 10, 10: 11, 17: 12},
    **{8: 13, 18: 14, 19: 15, 20: 16, 12: 17, 11: 18},
}


@DATASETS.register_module()
class SYNTHIADataset(IdMappedDataset):
    """``RGB/0000000.png`` and ``GT/LABELS/0000000.png`` as downloaded, 9 400 pairs of 1280×760, Cityscapes' classes.

    The label images have 16 bits and several channels: the first (red) channel holds the class id, the second the
    instance. Terrain, truck and train do not occur; ``ClassIoUMetric(without=…)`` prints the 16- and 13-class mIoU.
    """

    METAINFO = dict(CityscapesDataset.METAINFO)
    ID_MAP = {i: TRAIN_IDS.get(i, IGNORE) for i in (*range(23), IGNORE)}
    LABEL_CHANNEL = 'red'

    def __init__(
        self,
        data_prefix: dict | None = None,
        img_suffix: str = '.png',
        seg_map_suffix: str = '.png',
        **kwargs,
    ) -> None:
        data_prefix = data_prefix or dict(img_path='RGB', seg_map_path='GT/LABELS')
        super().__init__(data_prefix=data_prefix, img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)
