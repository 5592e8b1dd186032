from .encoder import ResNetStyleEncoder, VGGStyleEncoder, build_encoder
from .gram import Style, gram_matrix, style_of
from .objective import Objective
from .render import FAST, PAPER, AppearanceAdapter, Recipe
from .store import RenderStore

__all__ = [
    'AppearanceAdapter',
    'FAST',
    'Objective',
    'PAPER',
    'Recipe',
    'RenderStore',
    'ResNetStyleEncoder',
    'Style',
    'VGGStyleEncoder',
    'build_encoder',
    'gram_matrix',
    'style_of',
]
