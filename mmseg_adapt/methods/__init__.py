from .adapter import DomainAdapter
from .adaptsegnet import AdaptSegNet, FeatureAdaptation
from .advent import AdvEnt
from .adversarial import AdversarialAdapter
from .dacs import DACS
from .daformer import DAFormer
from .fcan import RAN
from .mic import MIC
from .minent import MinEnt
from .self_training import SelfTraining

__all__ = [
    'DACS',
    'DAFormer',
    'MIC',
    'RAN',
    'AdaptSegNet',
    'AdvEnt',
    'AdversarialAdapter',
    'DomainAdapter',
    'FeatureAdaptation',
    'MinEnt',
    'SelfTraining',
]
