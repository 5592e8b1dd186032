"""Does a checkpoint belong to a model? One answer for training, testing, export and prediction."""

from __future__ import annotations

from torch import Tensor

from ..errors import UserError


def check_fit(own: dict[str, Tensor], loaded: dict[str, Tensor], path: str) -> None:
    """``own`` is the model's state_dict, ``loaded`` the file's.

    Keys that only one of them has pass, except in the main head, where they would change what is predicted.

    Raises:
        UserError: no key in common, a tensor of another shape, more convolutions in the main head than the model has.
    """
    common = loaded.keys() & own.keys()
    if not common:
        raise UserError(
            f'{path}: a checkpoint of another network: none of its keys is one of this config, such as {min(own)}'
        )
    for key in sorted(common):
        if own[key].shape != loaded[key].shape:
            raise UserError(
                f'{path}: {key} has shape {tuple(loaded[key].shape)}, this config needs '
                f'{tuple(own[key].shape)}: use the config (num_classes, depth) that the checkpoint was trained with'
            )
    if extra := sorted(key for key in loaded.keys() - own.keys() if 'decode_head.' in key):
        raise UserError(
            f'{path}: {extra[0]} is no part of this config: use the config (type of decode_head, dilations) that the '
            'checkpoint was trained with'
        )
