"""Labels stay on disk as published; ids become train ids while loading."""

from __future__ import annotations

import os.path as osp

import numpy as np
from mmengine.logging import print_log
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ..errors import UserError
from ..files.listing import check_endings, files_below, is_image, renamed

IGNORE = 255
UNMAPPED = 254  # the look-up table's value for an id that is not in the map
CHANNELS = ('blue', 'green', 'red')  # in OpenCV's order


@DATASETS.register_module()
class IdMappedDataset(BaseSegDataset):
    """A folder of images and a folder of label images whose ids are remapped by :class:`LoadLabels`.

    Args:
        id_map: id in the file (0…255) → class, by name or by index, or 255 to ignore its pixels. Defaults to the
            attribute ``ID_MAP`` (id → index into ``METAINFO['classes']``). Classes of it that are not in
            ``metainfo.classes`` are then ignored, so that two data sets can use the classes they share.
        others: what to do with an id that is not in the map: ``'error'``, because the map probably belongs to other
            data, or ``'ignore'``.
        without_label: what to do with an image without a label: ``'error'``, or ``'skip'`` (counted in the log).
        label_channel: ``'red'``, ``'green'`` or ``'blue'``: the channel that holds the ids, if label images have
            several. Defaults to the attribute ``LABEL_CHANNEL``.
        pair: ``(word, other)``: a label's name is its image's name with ``word`` replaced by ``other``, as in
            ``('rgb', 'sem')`` for ``run01_rgb_0007.png`` and ``run01_sem_0007.png``.
        img_suffix, seg_map_suffix: the end of the names; a tuple if a folder contains several kinds.
        ann_file: a list of images, one per line, with or without their ending; empty lines do not count.
        **kwargs: as for ``BaseSegDataset``; ``metainfo=dict(classes=…, palette=…)`` names the classes. Without
            ``data_prefix.seg_map_path``, the images are unlabelled.

    Raises:
        UserError: If a folder or ``ann_file`` is missing or names no image, an image has no label, two images differ
            only in their ending, the id map has an unknown class, an id beyond 255 or no class at all, there are fewer
            than two classes, or images and labels are the same files.
    """

    ID_MAP: dict[int, int] | None = None
    LABEL_CHANNEL: str | None = None

    def __init__(
        self,
        id_map: dict[int, int | str] | None = None,
        others: str = 'error',
        without_label: str = 'error',
        label_channel: str | None = None,
        pair: tuple[str, str] | None = None,
        **kwargs,
    ) -> None:
        self._check_options(others=(others, ('error', 'ignore')), without_label=(without_label, ('error', 'skip')))
        self.label_channel = label_channel or self.LABEL_CHANNEL
        self._check_options(label_channel=(self.label_channel, (None, *CHANNELS)))
        self.without_label = without_label
        self.pair = pair
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
        """The given colours, or else the data set's own; none if a class has no colour."""
        if (palette := metainfo.get('palette')) is not None:
            if len(palette) not in (0, len(classes)):
                raise UserError(
                    f'{type(self).__name__}.metainfo.palette has {len(palette)} colours for {len(classes)} classes: '
                    'list one per class, or remove it'
                )
            return palette
        own = dict(zip(self.METAINFO.get('classes', ()), self.METAINFO.get('palette', ())))
        return [own[name] for name in classes] if own.keys() >= set(classes) else []

    @classmethod
    def get_label_map(cls, new_classes=None) -> None:
        """The id map replaces MMSegmentation's ``label_map``, which handles only subsets of ``METAINFO``."""

    def _by_name(self, classes: list[str]) -> dict[int, int]:
        """``ID_MAP`` with the indices of ``classes``, in any order."""
        self._check_classes(classes)
        own = self.METAINFO['classes']
        if unknown := [name for name in classes if name not in own]:
            raise UserError(f'{type(self).__name__} has no class {unknown[0]!r}: it must be one of {", ".join(own)}')
        if ignored := [name for name in own if name not in classes]:
            print_log(
                f'{type(self).__name__}: {len(ignored)} of its {len(own)} classes are ignored, because this config '
                f'does not have them: {", ".join(ignored)}',
                'current',
            )
        names = {index: classes.index(name) for index, name in enumerate(own) if name in classes}
        return {key: names.get(index, IGNORE) for key, index in self.ID_MAP.items()}

    def _by_index(self, id_map: dict, classes: list[str]) -> dict[int, int]:
        if not id_map:  # the ids are the class indices
            if classes:
                self._check_classes(classes)
            return {**{i: i for i in range(len(classes))}, IGNORE: IGNORE} if classes else {}
        self._check_classes(classes)
        indices = {}
        for key, value in id_map.items():
            if isinstance(value, str):
                if value not in classes:
                    raise UserError(f'id_map has the class {value!r}: it must be one of {", ".join(classes)}')
                value = classes.index(value)
            if not isinstance(value, int) or not str(key).isdecimal():
                raise UserError(
                    f'{type(self).__name__}.id_map maps {key!r} to {value!r}: write id: class, as in {{7: 0}}'
                )
            if not 0 <= int(key) <= 255:
                raise UserError(f'{type(self).__name__}.id_map: ids must be in 0…255, found {key}')
            if value != IGNORE and not 0 <= value < len(classes):
                raise UserError(
                    f'{type(self).__name__}.id_map maps {key} to {value}, but there are only {len(classes)} classes'
                )
            indices[int(key)] = int(value)
        if set(indices.values()) == {IGNORE}:
            raise UserError(f'{type(self).__name__}.id_map maps every id to 255: map at least one id to a class')
        ignored = [key for key, value in indices.items() if value == IGNORE and key != IGNORE]
        if ignored:
            print_log(f'{type(self).__name__}: id_map ignores {len(ignored)} ids: {ignored}', 'current')
        return indices

    def _check_classes(self, classes: list[str]) -> None:
        if not classes:
            raise UserError(f'{type(self).__name__} has no classes: set metainfo.classes')
        if len(classes) == 1:
            raise UserError(
                f'{type(self).__name__} has only the class {classes[0]!r}, but a segmentor needs at least two: add the '
                f"background to metainfo.classes, and its ids to id_map, as in {{0: 'background'}}"
            )

    def _check_options(self, **options: tuple) -> None:
        for name, (value, allowed) in options.items():
            if value not in allowed:
                allowed = ', '.join(map(repr, allowed))
                raise UserError(f'{type(self).__name__}.{name} = {value!r} must be one of {allowed}')

    def load_data_list(self) -> list[dict]:
        """Raises: see the class."""
        img_dir, ann_dir = self.data_prefix.get('img_path'), self.data_prefix.get('seg_map_path')
        for key, folder in (('img_path', img_dir), ('seg_map_path', ann_dir)):
            if folder is not None and not osp.isdir(folder):
                raise UserError(
                    f'{folder} does not exist: set data_root or data_prefix.{key} of {type(self).__name__}, or link '
                    'the data there'
                )
        names = self._listed() if self.ann_file and not osp.isdir(self.ann_file) else self._scan()
        if not names:
            raise UserError(
                f'no image matches {" or ".join(f"*{end}" for end in _ends(self.img_suffix))} in {img_dir}: set '
                f'img_suffix or data_prefix.img_path of {type(self).__name__}'
            )
        items = [self._item(osp.join(img_dir, name)) for name in names]
        return items if ann_dir is None else self._with_labels(items, names)

    def _item(self, path: str) -> dict:
        return dict(img_path=path, label_map=None, seg_fields=[], reduce_zero_label=self.reduce_zero_label)

    def _scan(self) -> list[str]:
        """Images in their folder, sorted: the same list as ``BaseSegDataset``'s, in a third of the time."""
        img_dir = self.data_prefix['img_path']
        files = sorted(files_below(img_dir))
        names = [name for name in files if name.endswith(_ends(self.img_suffix))]
        if img_dir != self.data_prefix.get('seg_map_path'):
            check_endings(img_dir, files)
            if names and (others := sorted({*filter(is_image, files)} - {*names})):
                print_log(
                    f'{type(self).__name__}: skipped {len(others)} images of {img_dir}, such as {others[0]}, because '
                    f'img_suffix is {self.img_suffix!r}',
                    'current',
                )
        return names

    def _listed(self) -> list[str]:
        """The images listed in ``ann_file``."""
        try:
            with open(self.ann_file, encoding='utf-8') as file:
                lines = [line.strip() for line in file if line.strip()]
        except OSError as error:
            raise UserError(
                f'{self.ann_file} cannot be read ({error.strerror}): correct ann_file of {type(self).__name__}, or '
                'remove it to use all images'
            ) from error
        folder, ends = self.data_prefix['img_path'], ('', *_ends(self.img_suffix))
        present = set(files_below(folder))
        found = [next((line + end for end in ends if line + end in present), None) for line in lines]
        if None in found:
            raise UserError(
                f'{self.ann_file} lists {lines[found.index(None)]!r}, which is not in {folder} ({found.count(None)} of '
                f'{len(lines)} lines): correct the list, img_suffix or data_prefix.img_path of {type(self).__name__}'
            )
        return found

    def _with_labels(self, items: list[dict], names: list[str]) -> list[dict]:
        """The items that have a label, with the label's path added."""
        folder = self.data_prefix['seg_map_path']
        present = set(files_below(folder))
        missing = []
        for item, name in zip(items, names):
            label = self._label_of(name, present)
            item['seg_map_path'] = osp.join(folder, label)
            if item['seg_map_path'] == item['img_path']:
                raise UserError(
                    f'{item["img_path"]} would be its own label: set img_suffix and seg_map_suffix of '
                    f'{type(self).__name__} to the two kinds of endings, or set two folders in data_prefix'
                )
            if label not in present:
                missing.append(item)
        if missing and (self.without_label == 'error' or len(missing) == len(items)):
            others = f' (nor have {len(missing) - 1} more)' if len(missing) > 1 else ''
            raise UserError(
                f'{missing[0]["img_path"]} has no label {missing[0]["seg_map_path"]}{others}: add the labels, '
                "remove the images, or set without_label='skip'"
            )
        if missing:
            print_log(f'{type(self).__name__}: skipped {len(missing)} images without a label in {folder}', 'current')
        without = {id(item) for item in missing}
        return [item for item in items if id(item) not in without]

    def _label_of(self, name: str, present: set[str]) -> str:
        """The path where an image's label is, or should be."""
        end = max((end for end in _ends(self.img_suffix) if name.endswith(end)), key=len, default=osp.splitext(name)[1])
        stem = renamed(name.removesuffix(end), self.pair)
        labels = [stem + end for end in _ends(self.seg_map_suffix)]
        return next((label for label in labels if label in present), labels[0])

    def get_data_info(self, idx: int) -> dict:
        lut = self.label_lut if self.id_map else None
        channel = CHANNELS.index(self.label_channel) if self.label_channel else None
        return {**super().get_data_info(idx), 'label_lut': lut, 'label_channel': channel}


def _ends(suffix: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return (suffix,) if isinstance(suffix, str) else tuple(suffix)
