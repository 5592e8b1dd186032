"""Preprocessing of images with any number of bands."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS

from ..errors import UserError


@MODELS.register_module()
class BandsPreProcessor(SegDataPreProcessor):
    """``SegDataPreProcessor`` with a mean and std for any number of bands; the fork's accepts only one or three.

    Args:
        mean, std: one value per band, in the order of ``LoadImage``'s ``channels``, 0…255.
        **kwargs: see ``SegDataPreProcessor``.

    Raises:
        UserError: If the mean and the std differ in length, or an image has a different number of bands.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], **kwargs) -> None:
        super().__init__(**kwargs)
        if len(mean) != len(std):
            raise UserError(f'data_preprocessor has {len(mean)} values in mean and {len(std)} in std: set one per band')
        self._enable_normalize = True
        for name, numbers in (('mean', mean), ('std', std)):
            self.register_buffer(name, torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1), False)

    def forward(self, data: dict, training: bool = False) -> dict:
        for image in data['inputs']:
            if len(image) != len(self.mean):
                raise UserError(
                    f'the image has {len(image)} bands, but data_preprocessor.mean has {len(self.mean)}: use the same '
                    'bands in channels of LoadImage, mean and std'
                )
        return super().forward(data, training)
