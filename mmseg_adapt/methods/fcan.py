"""Zhang et al., "Fully Convolutional Adaptation Networks for Semantic Segmentation", CVPR 2018, arXiv 1804.08286."""

from __future__ import annotations

from mmseg.registry import MODELS

from ..errors import UserError
from .adaptsegnet import FeatureAdaptation


@MODELS.register_module()
class RAN(FeatureAdaptation):
    """Representation adaptation (Sec. 3.2): D sees the last feature map itself, level ``'backbone'``.

    With D's probability of "target", the paper plays

        max_F min_D  L_adv(F, D) − λ L_seg(X_s),   L_adv = −E_t[mean log D(F(x_t))] − E_s[mean log(1 − D(F(x_s)))],

    λ = 5. L_adv is ``domain_loss(score_t, 'target') + domain_loss(score_s, 'source')``, twice the logged ``loss_dis``.
    λ on L_seg equals 1/λ on L_adv up to the scale of S's learning rate, so ``lambda_adv = 1/5``.

    ``reversal=True`` plays that game: the features of both domains ascend L_adv. Turns are the default (the paper does
    not say which it used). With turns, D's objective is the same, but S minimises −E_t[mean log(1 − D(F(x_t)))] on the
    target only. Its gradient does not vanish when D is certain.

    Arguments: :class:`~mmseg_adapt.methods.AdversarialAdapter`.

    Raises:
        UserError: If there is a discriminator on any other level.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if others := sorted(set(self.levels) - {'backbone'}):
            raise UserError(f"RAN adapts features, but model.discriminator has {others}: use only 'backbone'")
