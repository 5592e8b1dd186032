from .activation_checkpoint_hook import ActivationCheckpointHook
from .adapt_bn_hook import AdaptBNHook
from .alternating_update_hook import AlternatingUpdateHook
from .class_set_hook import ClassSetHook
from .deferred_log_hook import DeferredLogHook
from .fast_segmentor_hook import FastSegmentorHook
from .finite_loss_hook import FiniteLossHook
from .game_health_hook import GameHealthHook
from .merged_groups import MergedOptimWrapperConstructor
from .optim_wrapper_constructor import PlayerOptimWrapperConstructor
from .picture_hook import PictureHook
from .repeated_sgd import RepeatedSGD
from .significant_log_processor import SignificantLogProcessor

__all__ = [
    'AdaptBNHook',
    'ActivationCheckpointHook',
    'AlternatingUpdateHook',
    'ClassSetHook',
    'DeferredLogHook',
    'FastSegmentorHook',
    'FiniteLossHook',
    'GameHealthHook',
    'MergedOptimWrapperConstructor',
    'PictureHook',
    'PlayerOptimWrapperConstructor',
    'RepeatedSGD',
    'SignificantLogProcessor',
]
