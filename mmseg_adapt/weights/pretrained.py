"""``init_cfg=dict(type='Pretrained', …)`` that reports what it used, and stops if the file does not fit."""

from __future__ import annotations

from mmengine.logging import print_log
from mmengine.model import PretrainedInit
from mmengine.runner.checkpoint import _load_checkpoint
from mmseg.registry import WEIGHT_INITIALIZERS
from torch import Tensor, nn

from ..errors import UserError
from .load import tensors_of


@WEIGHT_INITIALIZERS.register_module(name='Pretrained')
class CheckedPretrainedInit(PretrainedInit):
    """mmengine's ``PretrainedInit`` (same arguments) for configs in MMSegmentation's scope.

    It stops if the file has nothing in common with the module, or if a tensor has another shape; mmengine would warn
    and continue with random weights. It skips a classifier with another number of classes, and logs this. It adapts the
    first convolution to images with a number of bands other than three.

    Raises:
        UserError: the file belongs to another network.
    """

    def __call__(self, module: nn.Module) -> None:
        prefix = f'{self.prefix.removesuffix(".")}.' if self.prefix else ''
        found = tensors_of(_load_checkpoint(self.checkpoint, map_location=self.map_location), self.checkpoint)
        found = {key.removeprefix('module.'): value for key, value in found.items()}
        found = {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}
        if hasattr(module, 'own_keys'):  # a backbone that knows the keys of the released file
            found = module.own_keys(found, self.checkpoint)
        own = module.state_dict()
        self._fit_bands(own, found)
        self._check(type(module).__name__, own, found)
        used = {k: v for k, v in found.items() if k in own and own[k].shape == v.shape}
        module.load_state_dict(used, strict=False)
        missing = [k for k in own if k not in used and not k.endswith('num_batches_tracked')]
        print_log(
            f'{type(module).__name__}: {len(used)} tensors from {self.checkpoint}'
            + (f' ({prefix}…)' if prefix else '')
            + _listing('; not used:', [k for k in found if k not in used])
            + _listing('; not in the file, so they keep their initial weights:', missing),
            logger='current',
        )
        if hasattr(module, '_params_init_info'):
            from mmengine.model import update_init_info

            update_init_info(module, init_info=self._get_init_info())

    def _fit_bands(self, own: dict[str, Tensor], found: dict[str, Tensor]) -> None:
        """The first convolution for n bands: each band gets the mean of the file's three filters, times 3/n."""
        for key in own.keys() & found.keys():
            here, there = own[key].shape, found[key].shape
            if len(here) == len(there) == 4 and there[1] == 3 != here[1] and here[::2] == there[::2]:
                n = here[1]
                found[key] = found[key].mean(1, keepdim=True).repeat(1, n, 1, 1) * (3 / n)
                print_log(
                    f'{key}: each of {n} bands is the mean of the three in {self.checkpoint}, times 3/{n}', 'current'
                )

    def _check(self, module: str, own: dict, found: dict) -> None:
        if not own.keys() & found.keys():
            raise UserError(
                f'{self.checkpoint} belongs to another network: none of its keys (prefix: {self.prefix}) is in '
                f'{module}, which has e.g. {min(own)}: set init_cfg.checkpoint to another file, or fix init_cfg.prefix'
            )
        for key in sorted(own.keys() & found.keys()):
            classifier = 'conv_seg' in key or key.startswith('fc.')
            if own[key].shape != found[key].shape and not classifier:
                raise UserError(
                    f'{self.checkpoint} belongs to another network: {key} has shape {tuple(found[key].shape)}, but '
                    f'{module} needs {tuple(own[key].shape)}: check depth and widths, or use another file'
                )


def _listing(title: str, keys: list[str]) -> str:
    shown = ', '.join(keys[:6]) + (f', … ({len(keys)})' if len(keys) > 6 else '')
    return f'{title} {shown}' if keys else ''
