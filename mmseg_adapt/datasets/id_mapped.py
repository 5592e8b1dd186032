"""Labels stay on disk as they were published; ids become train ids while loading."""

from __future__ import annotations

import os.path as osp

import numpy as np
from mmengine import fileio
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ..errors import UserError

IGNORE = 255
UNMAPPED = 254  # what the look-up table holds for an id that the map does not name


@DATASETS.register_module()
class IdMappedDataset(BaseSegDataset):
    """A folder of images and a folder of label images whose ids are remapped by :class:`LoadLabels`.

    Args:
        id_map: id in the file → class index, or 255 to ignore its pixels. An id that is not named is an error when it
            is met: the map is not this data's. Defaults to the class attribute ``ID_MAP``.
        **kwargs: as ``BaseSegDataset``; ``metainfo=dict(classes=…, palette=…)`` names the classes. Without
            ``data_prefix.seg_map_path`` the dataset is one of unlabelled images.

    Raises:
        UserError: a folder that is missing, no image in it, an image without its label, an id map that names a class
            beyond ``metainfo.classes`` or an id beyond 255.
    """

    ID_MAP: dict[int, int] | None = None

    def __init__(self, id_map: dict[int, int] | None = None, **kwargs) -> None:
        self.id_map = {int(k): int(v) for k, v in (id_map or self.ID_MAP or {}).items()}
        self.label_lut = np.full(256, UNMAPPED, np.uint8)
        if any(not 0 <= key <= 255 for key in self.id_map):
            raise UserError(f'{type(self).__name__}.id_map: ids must lie in 0…255, found {sorted(self.id_map)}')
        for key, value in self.id_map.items():
            self.label_lut[key] = value
        super().__init__(**kwargs)
        classes = len(self.metainfo.get('classes') or ())
        if self.id_map and (beyond := {v for v in self.id_map.values() if v != IGNORE and not 0 <= v < classes}):
            raise UserError(f'{type(self).__name__}.id_map maps to {sorted(beyond)}, but there are {classes} classes')

    def load_data_list(self) -> list[dict]:
        """Raises: see the class."""
        img_dir, ann_dir = self.data_prefix.get('img_path'), self.data_prefix.get('seg_map_path')
        for key, folder in (('img_path', img_dir), ('seg_map_path', ann_dir)):
            if folder is not None and not osp.isdir(folder):
                raise UserError(
                    f'{folder} does not exist: set data_root or data_prefix.{key} of {type(self).__name__}, or link '
                    'the data there'
                )
        items = super().load_data_list()
        if not items:
            raise UserError(
                f'no image matched *{self.img_suffix} under {img_dir}: set img_suffix or data_prefix.img_path of '
                f'{type(self).__name__}'
            )
        if ann_dir is not None:
            present = set(fileio.list_dir_or_file(ann_dir, list_dir=False, recursive=True))
            missing = [i for i in items if osp.relpath(i['seg_map_path'], ann_dir) not in present]
            if missing:
                others = f' (nor have {len(missing) - 1} more)' if len(missing) > 1 else ''
                raise UserError(
                    f'{missing[0]["img_path"]} has no label {missing[0]["seg_map_path"]}{others}: add the labels, '
                    'remove the images, or list the complete pairs in ann_file'
                )
        return items

    def get_data_info(self, idx: int) -> dict:
        return {**super().get_data_info(idx), 'label_lut': self.label_lut if self.id_map else None}
