"""Plain vision transformers of timm: DINOv2 (Oquab et al., arXiv 2304.07193), DINOv3 (Siméoni et al., 2508.10104)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

import torch
from mmseg.models.backbones import TIMMBackbone
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..errors import UserError

REGISTERS = ('register_tokens', 'storage_tokens', 'reg_token')  # their names in DINOv2's, DINOv3's and timm's files


@MODELS.register_module()
class FoundationViT(TIMMBackbone):
    """MMSegmentation's ``TIMMBackbone`` for a ViT of timm, for any image whose sides are multiples of the patch size.

    timm itself resizes positional embeddings. ``init_cfg=dict(type='Pretrained', checkpoint=…)`` accepts Meta's
    released file or timm's own, and rejects files of another variant. Images are not padded: resize and crop them to
    multiples. An exported model uses the stock type.

    Args:
        model_name: timm's name, such as ``'vit_base_patch14_dinov2'`` or ``'vit_small_patch16_dinov3'``.
        out_indices: blocks whose output is returned; later blocks are not built. By default the last block.
        recompute_gelu: store the inputs of the GELUs and recompute their outputs in the backward pass. The result is
            identical to the bit, uses a fifth less memory and needs no more matrix products.
        **kwargs: arguments of the timm model, such as ``drop_path_rate``.

    Shape: (N, 3, H, W) → maps (N, width, H / patch, W / patch), one per index.

    Raises:
        UserError: If timm is not installed or has no model of this name, or the sides of an image are not multiples.
    """

    def __init__(
        self,
        model_name: str,
        out_indices: Sequence[int] = (-1,),
        recompute_gelu: bool = True,
        init_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        check_name(model_name)
        options = dict(features_only=True, pretrained=False, dynamic_img_size=True)
        super().__init__(model_name, out_indices=tuple(out_indices), init_cfg=init_cfg, **{**options, **kwargs})
        self.model_name = model_name
        if recompute_gelu:
            recompute(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        self.check_size(x.shape[2:])
        return tuple(self.timm_model(x))

    def check_size(self, size: Sequence[int], what: str = 'an image') -> None:
        """Raises: UserError: If the height or width is not a multiple of the patch size."""
        (height, width), (patch, _) = size, self.timm_model.model.patch_embed.patch_size
        if height % patch or width % patch:
            raise UserError(
                f'{self.model_name} has patches of {patch} pixels, but {what} is {height}×{width}: set scale and '
                f'crop_size to multiples of {patch}, such as {height // patch * patch}×{width // patch * patch}'
            )

    def fix_size(self, size: tuple[int, int]) -> None:
        """Resize the positional embeddings once, for images of ``size`` (H, W): ONNX lacks timm's interpolation."""
        self.timm_model.model.set_input_size(img_size=size)

    def own_keys(self, found: dict[str, Tensor], path: str) -> dict[str, Tensor]:
        """The tensors of a pretrained file under this module's keys (called by :class:`CheckedPretrainedInit`).

        Raises:
            UserError: If the file has another number of registers, or lacks a tensor.
        """
        prefix, vit = 'timm_model.model.', self.timm_model.model
        if any(key.startswith(prefix) for key in found):
            return found
        theirs = next((found[key].shape[1] for key in REGISTERS if key in found), 0)
        mine = 0 if getattr(vit, 'reg_token', None) is None else vit.reg_token.shape[1]
        if theirs != mine:
            raise UserError(
                f'{path} has {theirs} registers, but {self.model_name} has {mine}: use the file of this model, or set '
                'model_name to a model with as many registers (reg4 has 4)'
            )
        with redirect_stdout(None):  # timm's converter prints which biases DINOv3 lacks
            converted = sys.modules[type(vit).__module__].checkpoint_filter_fn(dict(found), vit)
        converted = {f'{prefix}{key}': value for key, value in converted.items()}
        own = [key for key in self.state_dict() if 'lora_' not in key]
        if lacking := [key for key in own if key not in converted]:
            raise UserError(
                f'{path} is not the file of {self.model_name}: it lacks {lacking[0].removeprefix(prefix)} '
                f'({len(lacking)} tensors are missing): use another file or model_name'
            )
        return {key: value for key, value in converted.items() if key in own}  # without the classifier and last norm


class _Recomputed:
    """Mixed into timm's ``Mlp``: recomputes the activation's output for the gradient of ``fc2``."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        if not torch.is_grad_enabled():
            return self._second(x)
        return checkpoint(self._second, x, use_reentrant=False, preserve_rng_state=self.drop1.p > 0)

    def _second(self, x: Tensor) -> Tensor:
        return self.drop2(self.fc2(self.norm(self.drop1(self.act(x)))))


def recompute(vit: nn.Module) -> None:
    from timm.layers import Mlp

    kind = type(Mlp.__name__, (_Recomputed, Mlp), {})
    for module in vit.modules():
        if type(module) is Mlp:
            module.__class__ = kind  # the parameters stay the same


def check_name(model_name: str) -> None:
    """Raises: UserError: timm is not installed, or has no model of this name."""
    try:
        import timm
    except ImportError:
        raise UserError("FoundationViT needs timm: run: pip install 'mmseg_adapt[vfm]'") from None
    if not timm.is_model(model_name):
        raise UserError(f'timm {timm.__version__} has no model {model_name!r}: see timm.list_models("*dinov2*")')
