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
from .vfm_uda import VFMUDA

__all__ = [
    'DACS',
    'DAFormer',
    'MIC',
    'RAN',
    'VFMUDA',
    'AdaptSegNet',
    'AdvEnt',
    'AdversarialAdapter',
    'DomainAdapter',
    'FeatureAdaptation',
    'MinEnt',
    'SelfTraining',
]
