from .adapter import DomainAdapter
from .adaptsegnet import AdaptSegNet, FeatureAdaptation
from .advent import AdvEnt
from .adversarial import AdversarialAdapter
from .fcan import RAN
from .minent import MinEnt

__all__ = ['RAN', 'AdaptSegNet', 'AdvEnt', 'AdversarialAdapter', 'DomainAdapter', 'FeatureAdaptation', 'MinEnt']
