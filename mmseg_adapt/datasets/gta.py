"""GTA5: Richter et al., "Playing for Data", ECCV 2016."""

from __future__ import annotations

from mmseg.datasets import CityscapesDataset
from mmseg.registry import DATASETS

from .id_mapped import IGNORE, IdMappedDataset

# Cityscapes label id → train id; GTA5's palette PNGs and Cityscapes' labelIds share the numbering
CITYSCAPES_TRAIN_IDS = {
    **{7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12},
    **{26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18},
}
ALL_LABEL_IDS = (*range(35), IGNORE)


@DATASETS.register_module()
class GTADataset(IdMappedDataset):
    """``images/00001.png`` and ``labels/00001.png`` as downloaded, 24 966 pairs, Cityscapes' 19 classes.

    15188.png and 17705.png have a label of another size than the image; they are left out, as their pixels cannot be
    told apart.
    """

    METAINFO = dict(CityscapesDataset.METAINFO)
    ID_MAP = {i: CITYSCAPES_TRAIN_IDS.get(i, IGNORE) for i in ALL_LABEL_IDS}
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
        return [item for item in super().load_data_list() if not item['img_path'].endswith(self.BROKEN)]
