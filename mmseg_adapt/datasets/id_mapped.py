"""Labels stay on disk as they were published; ids become train ids while loading."""

from __future__ import annotations

import os.path as osp

import numpy as np
from mmengine import fileio
from mmengine.logging import print_log
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ..errors import UserError

IGNORE = 255
UNMAPPED = 254  # what the look-up table holds for an id that the map does not name


@DATASETS.register_module()
class IdMappedDataset(BaseSegDataset):
    """A folder of images and a folder of label images whose ids are remapped by :class:`LoadLabels`.

    Args:
        id_map: id in the file → class, by name or by index, or 255 to ignore its pixels. Defaults to the attribute
            ``ID_MAP`` (id → index into ``METAINFO['classes']``); classes of it that ``metainfo.classes`` does not name
            are then ignored, so that two data sets meet on the classes they share.
        others: what happens to an id that the map does not name: ``'error'``, as it means that the map is not this
            data's, or ``'ignore'``.
        **kwargs: as ``BaseSegDataset``; ``metainfo=dict(classes=…, palette=…)`` names the classes. Without
            ``data_prefix.seg_map_path`` the dataset is one of unlabelled images.

    Raises:
        UserError: a folder that is missing, no image in it, an image without its label; an id map that names an unknown
            class, an id beyond 255, or no class at all; an empty list of classes.
    """

    ID_MAP: dict[int, int] | None = None
    LABEL_CHANNEL: int | None = None  # of a label image with several channels, in OpenCV's order

    def __init__(self, id_map: dict[int, int | str] | None = None, others: str = 'error', **kwargs) -> None:
        classes = list((kwargs.get('metainfo') or self.METAINFO).get('classes') or ())
        self.id_map = (
            self._by_name(classes) if id_map is None and self.ID_MAP else self._by_index(id_map or {}, classes)
        )
        self.label_lut = np.full(256, {'error': UNMAPPED, 'ignore': IGNORE}[others], np.uint8)
        for key, value in self.id_map.items():
            self.label_lut[key] = value
        if kwargs.get('metainfo') and 'palette' not in kwargs['metainfo']:
            own = dict(zip(self.METAINFO.get('classes', ()), self.METAINFO.get('palette', ())))
            palette = [own[name] for name in classes if name in own]
            kwargs['metainfo'] = dict(kwargs['metainfo'], palette=palette if len(palette) == len(classes) else [])
        super().__init__(**kwargs)

    @classmethod
    def get_label_map(cls, new_classes=None) -> None:
        """The id map does the work of MMSegmentation's ``label_map``, which knows only subsets of ``METAINFO``."""

    def _by_name(self, classes: list[str]) -> dict[int, int]:
        """``ID_MAP`` on the classes that are named, wherever they stand."""
        self._check_classes(classes)
        own = self.METAINFO['classes']
        if unknown := [name for name in classes if name not in own]:
            raise UserError(f'{type(self).__name__} has no class {unknown[0]!r}: its classes are {", ".join(own)}')
        if ignored := [name for name in own if name not in classes]:
            print_log(f'{type(self).__name__}: ignored, as no class of this config: {", ".join(ignored)}', 'current')
        names = {index: classes.index(name) for index, name in enumerate(own) if name in classes}
        return {key: names.get(index, IGNORE) for key, index in self.ID_MAP.items()}

    def _by_index(self, id_map: dict, classes: list[str]) -> dict[int, int]:
        if not id_map:  # the ids are the class indices
            return {**{i: i for i in range(len(classes))}, IGNORE: IGNORE} if classes else {}
        self._check_classes(classes)
        indices = {}
        for key, value in id_map.items():
            if isinstance(value, str):
                if value not in classes:
                    raise UserError(f'id_map names the class {value!r}: the classes are {", ".join(classes)}')
                value = classes.index(value)
            if not 0 <= int(key) <= 255:
                raise UserError(f'{type(self).__name__}.id_map: ids must lie in 0…255, found {key}')
            if value != IGNORE and not 0 <= value < len(classes):
                raise UserError(
                    f'{type(self).__name__}.id_map maps {key} to {value}, but there are {len(classes)} classes'
                )
            indices[int(key)] = int(value)
        if set(indices.values()) == {IGNORE}:
            raise UserError(f'{type(self).__name__}.id_map maps every id to 255: name a class that the data have')
        return indices

    def _check_classes(self, classes: list[str]) -> None:
        if not classes:
            raise UserError(f'{type(self).__name__} has an empty list of classes: set metainfo.classes')

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
        lut = self.label_lut if self.id_map else None
        return {**super().get_data_info(idx), 'label_lut': lut, 'label_channel': self.LABEL_CHANNEL}
