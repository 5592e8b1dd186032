from .acdc import ACDCDataset
from .cache import Cached
from .cityscapes import CityscapesLabelsDataset, CrossCityDataset
from .domains import DomainPairDataset
from .gta import GTADataset
from .id_mapped import IdMappedDataset
from .orders import RareClassOrder, SequentialOrder, ShuffledOrder
from .rare_class_crop import RareClassCrop
from .samplers import DomainPairSampler, OrderSampler
from .scored_size import ScoreAtThisSize
from .synthia import SYNTHIADataset
from .transforms import CropBox, LoadImage, LoadLabels
from .valid_pixels import PackValidPixels, PseudoLabelMargins

__all__ = [
    'ACDCDataset',
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
    'PackValidPixels',
    'PseudoLabelMargins',
    'RareClassCrop',
    'RareClassOrder',
    'SYNTHIADataset',
    'ScoreAtThisSize',
    'SequentialOrder',
    'ShuffledOrder',
]
