"""ACDC: Sakaridis et al., "ACDC: The Adverse Conditions Dataset …", ICCV 2021, arXiv 2104.13395."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence

from mmseg.registry import DATASETS

from ..errors import UserError
from .cityscapes import CityscapesLabelsDataset

CONDITIONS = ('fog', 'night', 'rain', 'snow')
SPLITS = ('train', 'val', 'test')


@DATASETS.register_module()
class ACDCDataset(CityscapesLabelsDataset):
    """Fog, night, rain and snow as downloaded: ``rgb_anon/<condition>/<split>/<sequence>/…_rgb_anon.png``.

    With ``data_prefix=dict(img_path='rgb_anon', seg_map_path='gt')`` it also reads the labels of the splits ``train``
    and ``val``: ``gt/<condition>/<split>/<sequence>/…_gt_labelTrainIds.png`` or ``…_gt_labelIds.png``, with Cityscapes'
    classes. It skips the clear-weather reference images (``train_ref``, …).

    Args:
        split: ``'train'``, ``'val'`` or ``'test'``.
        conditions: which of the four to use.

    Raises:
        UserError: If the split or a condition is unknown, no condition is given, or a folder is missing.
    """

    LABELS = '_gt'

    def __init__(
        self,
        split: str = 'train',
        conditions: Sequence[str] = CONDITIONS,
        data_prefix: dict | None = None,
        img_suffix: str = '_rgb_anon.png',
        **kwargs,
    ) -> None:
        if split not in SPLITS:
            raise UserError(f'ACDCDataset.split = {split!r} must be one of {", ".join(SPLITS)}')
        if not conditions or set(conditions) - set(CONDITIONS):
            known = ', '.join(CONDITIONS)
            raise UserError(f'ACDCDataset.conditions = {list(conditions)} must be one or more of {known}')
        self.split, self.conditions = split, tuple(conditions)
        super().__init__(img_suffix=img_suffix, data_prefix=data_prefix or dict(img_path='rgb_anon'), **kwargs)

    def load_data_list(self) -> list[dict]:
        """The items of all conditions. Raises: see the class."""
        whole, items = self.data_prefix, []
        for condition in self.conditions:
            self.data_prefix = {
                key: folder and osp.join(folder, condition, self.split) for key, folder in whole.items()
            }
            items += super().load_data_list()
        self.data_prefix = whole
        return items
