from .bands_preprocessor import BandsPreProcessor
from .deeplabv2_head import DeepLabV2Head
from .deeplabv2_resnet import DeepLabV2ResNet
from .deeplabv2_vgg import DeepLabV2VGG
from .discriminators import ImageDiscriminator, OutputSpaceDiscriminator, RegionDiscriminator
from .multi_level_segmentor import MultiLevelSegmentor

__all__ = [
    'BandsPreProcessor',
    'DeepLabV2Head',
    'DeepLabV2ResNet',
    'DeepLabV2VGG',
    'ImageDiscriminator',
    'MultiLevelSegmentor',
    'OutputSpaceDiscriminator',
    'RegionDiscriminator',
]
