from .cache import Cached
from .cityscapes import CityscapesLabelsDataset, CrossCityDataset
from .domains import DomainPairDataset
from .gta import GTADataset
from .id_mapped import IdMappedDataset
from .orders import RareClassOrder, SequentialOrder, ShuffledOrder
from .rare_class_crop import RareClassCrop
from .samplers import DomainPairSampler, OrderSampler
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
    'OrderSampler',
    'RareClassCrop',
    'RareClassOrder',
    'SYNTHIADataset',
    'SequentialOrder',
    'ShuffledOrder',
]
