from .bands_preprocessor import BandsPreProcessor
from .daformer_head import DAFormerHead
from .deeplabv2_head import DeepLabV2Head
from .deeplabv2_resnet import DeepLabV2ResNet
from .deeplabv2_vgg import DeepLabV2VGG
from .discriminators import ImageDiscriminator, OutputSpaceDiscriminator, RegionDiscriminator
from .feature_projection import FeatureProjection
from .foundation_vit import FoundationViT
from .hrda_segmentor import HRDASegmentor
from .mix_transformer import DAFormerMixTransformer
from .multi_level_cascade import MultiLevelCascade
from .multi_level_segmentor import MultiLevelSegmentor

__all__ = [
    'BandsPreProcessor',
    'DAFormerHead',
    'DAFormerMixTransformer',
    'DeepLabV2Head',
    'DeepLabV2ResNet',
    'DeepLabV2VGG',
    'FeatureProjection',
    'FoundationViT',
    'HRDASegmentor',
    'ImageDiscriminator',
    'MultiLevelCascade',
    'MultiLevelSegmentor',
    'OutputSpaceDiscriminator',
    'RegionDiscriminator',
]
