from .cache import Cached
from .cityscapes import CityscapesLabelsDataset, CrossCityDataset
from .domains import DomainPairDataset, DomainPairSampler
from .gta import GTADataset
from .id_mapped import IdMappedDataset
from .synthia import SYNTHIADataset
from .transforms import CropBox, LoadImage, LoadLabels

__all__ = [
    'Cached',
    'CityscapesLabelsDataset',
    'CropBox',
    'CrossCityDataset',
    'DomainPairDataset',
    'DomainPairSampler',
    'GTADataset',
    'IdMappedDataset',
    'LoadImage',
    'LoadLabels',
    'SYNTHIADataset',
]
