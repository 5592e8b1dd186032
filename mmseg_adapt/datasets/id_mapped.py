"""Labels stay on disk as they were published; ids become train ids while loading."""

from __future__ import annotations

import os.path as osp

import numpy as np
from mmengine.logging import print_log
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ..errors import UserError
from ..files.listing import check_endings, files_below

IGNORE = 255
UNMAPPED = 254  # what the look-up table holds for an id that the map does not name
CHANNELS = ('blue', 'green', 'red')  # in OpenCV's order


@DATASETS.register_module()
class IdMappedDataset(BaseSegDataset):
    """A folder of images and a folder of label images whose ids are remapped by :class:`LoadLabels`.

    Args:
        id_map: id in the file → class, by name or by index, or 255 to ignore its pixels. Defaults to the attribute
            ``ID_MAP`` (id → index into ``METAINFO['classes']``); classes of it that ``metainfo.classes`` does not name
            are then ignored, so that two data sets meet on the classes they share.
        others: what happens to an id that the map does not name: ``'error'``, as it means that the map is not this
            data's, or ``'ignore'``.
        without_label: what happens to an image that has no label: ``'error'``, or ``'skip'`` (counted in the log).
        label_channel: ``'red'``, ``'green'`` or ``'blue'``, where label images have several channels and that one holds
            the ids. Defaults to the attribute ``LABEL_CHANNEL``.
        **kwargs: as ``BaseSegDataset``; ``metainfo=dict(classes=…, palette=…)`` names the classes. Without
            ``data_prefix.seg_map_path`` the dataset is one of unlabelled images.

    Raises:
        UserError: a folder that is missing, no image in it, an image without its label, two that differ only in their
            ending; an id map that names an unknown class, an id beyond 255, or no class at all; an empty list of
            classes.
    """

    ID_MAP: dict[int, int] | None = None
    LABEL_CHANNEL: str | None = None

    def __init__(
        self,
        id_map: dict[int, int | str] | None = None,
        others: str = 'error',
        without_label: str = 'error',
        label_channel: str | None = None,
        **kwargs,
    ) -> None:
        self._check_options(others=(others, ('error', 'ignore')), without_label=(without_label, ('error', 'skip')))
        self.label_channel = label_channel or self.LABEL_CHANNEL
        self._check_options(label_channel=(self.label_channel, (None, *CHANNELS)))
        self.without_label = without_label
        classes = list((kwargs.get('metainfo') or self.METAINFO).get('classes') or ())
        self.id_map = (
            self._by_name(classes) if id_map is None and self.ID_MAP else self._by_index(id_map or {}, classes)
        )
        self.label_lut = np.full(256, {'error': UNMAPPED, 'ignore': IGNORE}[others], np.uint8)
        for key, value in self.id_map.items():
            self.label_lut[key] = value
        if kwargs.get('metainfo'):
            kwargs['metainfo'] = dict(kwargs['metainfo'], palette=self._palette(classes, kwargs['metainfo']))
        super().__init__(**kwargs)

    def _palette(self, classes: list[str], metainfo: dict) -> list:
        """The colours that are named, or else the data set's own; none where a class has none."""
        if (palette := metainfo.get('palette')) is not None:
            if len(palette) not in (0, len(classes)):
                raise UserError(
                    f'{type(self).__name__}.metainfo.palette has {len(palette)} colours for {len(classes)} classes: '
                    'name one per class, or none'
                )
            return palette
        own = dict(zip(self.METAINFO.get('classes', ()), self.METAINFO.get('palette', ())))
        return [own[name] for name in classes] if own.keys() >= set(classes) else []

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
            print_log(
                f'{type(self).__name__}: {len(ignored)} of its {len(own)} classes are ignored, as no class of this '
                f'config: {", ".join(ignored)}',
                'current',
            )
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
            if not isinstance(value, int) or not str(key).isdecimal():
                raise UserError(
                    f'{type(self).__name__}.id_map maps {key!r} to {value!r}: write id: class, as in {{7: 0}}'
                )
            if not 0 <= int(key) <= 255:
                raise UserError(f'{type(self).__name__}.id_map: ids must lie in 0…255, found {key}')
            if value != IGNORE and not 0 <= value < len(classes):
                raise UserError(
                    f'{type(self).__name__}.id_map maps {key} to {value}, but there are {len(classes)} classes'
                )
            indices[int(key)] = int(value)
        if set(indices.values()) == {IGNORE}:
            raise UserError(f'{type(self).__name__}.id_map maps every id to 255: name a class that the data have')
        ignored = [key for key, value in indices.items() if value == IGNORE and key != IGNORE]
        if ignored:
            print_log(f'{type(self).__name__}: {len(ignored)} ids are ignored by id_map: {ignored}', 'current')
        return indices

    def _check_classes(self, classes: list[str]) -> None:
        if not classes:
            raise UserError(f'{type(self).__name__} has an empty list of classes: set metainfo.classes')

    def _check_options(self, **options: tuple) -> None:
        for name, (value, allowed) in options.items():
            if value not in allowed:
                raise UserError(f'{type(self).__name__}.{name} = {value!r} is none of {", ".join(map(repr, allowed))}')

    def load_data_list(self) -> list[dict]:
        """Raises: see the class."""
        img_dir, ann_dir = self.data_prefix.get('img_path'), self.data_prefix.get('seg_map_path')
        for key, folder in (('img_path', img_dir), ('seg_map_path', ann_dir)):
            if folder is not None and not osp.isdir(folder):
                raise UserError(
                    f'{folder} does not exist: set data_root or data_prefix.{key} of {type(self).__name__}, or link '
                    'the data there'
                )
        items = super().load_data_list() if self.ann_file and not osp.isdir(self.ann_file) else self._scan()
        if not items:
            raise UserError(
                f'no image matched *{self.img_suffix} under {img_dir}: set img_suffix or data_prefix.img_path of '
                f'{type(self).__name__}'
            )
        if ann_dir is None:
            return items
        present = {osp.join(ann_dir, name) for name in files_below(ann_dir)}
        missing = [i for i in items if i['seg_map_path'] not in present]
        if missing and (self.without_label == 'error' or len(missing) == len(items)):
            others = f' (nor have {len(missing) - 1} more)' if len(missing) > 1 else ''
            raise UserError(
                f'{missing[0]["img_path"]} has no label {missing[0]["seg_map_path"]}{others}: add the labels, '
                "remove the images, or set without_label='skip'"
            )
        if missing:
            print_log(f'{type(self).__name__}: left out {len(missing)} images without label in {ann_dir}', 'current')
        return [i for i in items if i['seg_map_path'] in present]

    def _scan(self) -> list[dict]:
        """One item per image, in the order of their paths: what ``BaseSegDataset`` lists, in a third of the time."""
        img_dir, ann_dir = self.data_prefix['img_path'], self.data_prefix.get('seg_map_path')
        files = sorted(files_below(img_dir))
        if img_dir != ann_dir:
            check_endings(img_dir, files)
        items = []
        for name in files:
            if name.endswith(self.img_suffix):
                item = dict(img_path=osp.join(img_dir, name), label_map=None, seg_fields=[])
                if ann_dir is not None:
                    item['seg_map_path'] = osp.join(ann_dir, name.removesuffix(self.img_suffix) + self.seg_map_suffix)
                items.append({**item, 'reduce_zero_label': self.reduce_zero_label})
        return items

    def get_data_info(self, idx: int) -> dict:
        lut = self.label_lut if self.id_map else None
        channel = CHANNELS.index(self.label_channel) if self.label_channel else None
        return {**super().get_data_info(idx), 'label_lut': lut, 'label_channel': channel}
