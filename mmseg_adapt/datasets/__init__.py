from .domain_pair import DomainPairDataset, DomainPairSampler
from .gta import GTADataset
from .id_mapped import IdMappedDataset
from .transforms import CropBox, LoadImage, LoadLabels

__all__ = [
    'CropBox',
    'DomainPairDataset',
    'DomainPairSampler',
    'GTADataset',
    'IdMappedDataset',
    'LoadImage',
    'LoadLabels',
]
