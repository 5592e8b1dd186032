from .aan_style_transfer import AANStyleTransfer
from .colour import colour_map
from .colour_transfer import ColourTransfer
from .encoder import ResNetStyleEncoder, VGGStyleEncoder, build_encoder
from .gram import Style, gram_matrix, style_of
from .objective import Objective
from .recipe import FAST, PAPER, QUICK, Recipe
from .render import AppearanceAdapter
from .store import RenderStore

__all__ = [
    'AANStyleTransfer',
    'AppearanceAdapter',
    'ColourTransfer',
    'FAST',
    'Objective',
    'PAPER',
    'QUICK',
    'Recipe',
    'RenderStore',
    'ResNetStyleEncoder',
    'Style',
    'VGGStyleEncoder',
    'build_encoder',
    'colour_map',
    'gram_matrix',
    'style_of',
]
