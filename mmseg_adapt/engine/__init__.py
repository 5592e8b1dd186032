from .adapt_bn_hook import AdaptBNHook
from .alternating_update_hook import AlternatingUpdateHook
from .checkpoint_guard_hook import CheckpointGuardHook
from .class_set_hook import ClassSetHook
from .cpu_amp import CPUAmpOptimWrapper
from .finite_loss_hook import FiniteLossHook
from .optim_wrapper_constructor import PlayerOptimWrapperConstructor
from .picture_hook import PictureHook
from .repeated_sgd import RepeatedSGD

__all__ = [
    'AdaptBNHook',
    'AlternatingUpdateHook',
    'CPUAmpOptimWrapper',
    'CheckpointGuardHook',
    'ClassSetHook',
    'FiniteLossHook',
    'PictureHook',
    'PlayerOptimWrapperConstructor',
    'RepeatedSGD',
]
