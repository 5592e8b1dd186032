"""Optimisation of the players: one optimiser each, few parameter groups, the SGD of the released code."""

from .merged_groups import MergedOptimWrapperConstructor
from .optim_wrapper_constructor import PlayerOptimWrapperConstructor
from .repeated_sgd import RepeatedSGD

__all__ = [
    'MergedOptimWrapperConstructor',
    'PlayerOptimWrapperConstructor',
    'RepeatedSGD',
]
