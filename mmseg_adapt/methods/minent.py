"""Direct entropy minimisation: Vu et al., "ADVENT", CVPR 2019, arXiv 1811.12833, Sec. 3.1."""

from __future__ import annotations

from mmseg.registry import MODELS
from torch import Tensor

from ..errors import UserError
from .adaptsegnet import AdaptSegNet
from .advent import self_information


@MODELS.register_module()
class MinEnt(AdaptSegNet):
    """Minimise the entropy of the target's predictions: λ_ent · mean entropy, without a discriminator.

    Args:
        segmentor: this and the other arguments are those of :class:`~mmseg_adapt.methods.AdversarialAdapter`.
        lambda_ent: level → weight of the entropy, which is in units of log C and so lies in [0, 1].

    Raises:
        UserError: If a level yields no logits, or there is a discriminator.
    """

    def __init__(self, segmentor: dict, lambda_ent: dict[str, float], **kwargs) -> None:
        if kwargs.get('discriminator') or kwargs.get('lambda_adv'):
            raise UserError('MinEnt has no opponent: remove model.discriminator and model.lambda_adv, or use AdvEnt')
        super().__init__(segmentor, **{**kwargs, 'discriminator': {}, 'lambda_adv': {}})
        self.check_levels('lambda_ent', lambda_ent)
        if 'backbone' in lambda_ent:
            raise UserError(
                "MinEnt needs class probabilities, but model.lambda_ent has 'backbone': use 'decode' and 'aux'"
            )
        self.lambda_ent = dict(lambda_ent)
        self.levels = tuple(lambda_ent)

    def target_losses(self, seen: dict[str, Tensor]) -> dict[str, Tensor]:
        """λ_ent · entropy of P, (N, C, H, W), averaged over pixels, per level."""
        return {
            f'{level}.loss_ent': self.lambda_ent[level] * self_information(p).sum(dim=1).mean()
            for level, p in seen.items()
        }
