"""GTA5: Richter et al., "Playing for Data", ECCV 2016."""

from __future__ import annotations

import os.path as osp

from mmengine.logging import print_log
from mmseg.datasets import CityscapesDataset
from mmseg.registry import DATASETS

from .cityscapes import LABEL_IDS
from .id_mapped import IdMappedDataset


@DATASETS.register_module()
class GTADataset(IdMappedDataset):
    """``images/00001.png`` and ``labels/00001.png`` as downloaded, 24 966 pairs, Cityscapes' 19 classes.

    15188.png and 17705.png are left out: their labels differ in size from the images, so pixels cannot be matched.
    """

    METAINFO = dict(CityscapesDataset.METAINFO)
    ID_MAP = LABEL_IDS
    BROKEN = ('15188.png', '17705.png')

    def __init__(
        self,
        data_prefix: dict | None = None,
        img_suffix: str = '.png',
        seg_map_suffix: str = '.png',
        **kwargs,
    ) -> None:
        data_prefix = data_prefix or dict(img_path='images', seg_map_path='labels')
        super().__init__(data_prefix=data_prefix, img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)

    def load_data_list(self) -> list[dict]:
        items = super().load_data_list()
        broken = [item for item in items if osp.basename(item['img_path']) in self.BROKEN]
        if broken:
            names = ', '.join(osp.basename(item['img_path']) for item in broken)
            print_log(f'GTADataset: skipped {names}, whose labels do not have the size of the image', 'current')
        return [item for item in items if item not in broken]
