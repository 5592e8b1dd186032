from .adaptsegnet import AdaptSegNet, FeatureAdaptation
from .adversarial import AdversarialAdapter

__all__ = ['AdaptSegNet', 'AdversarialAdapter', 'FeatureAdaptation']
