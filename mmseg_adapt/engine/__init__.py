from .activation_checkpoint_hook import ActivationCheckpointHook
from .adapt_bn_hook import AdaptBNHook
from .alternating_update_hook import AlternatingUpdateHook
from ..runs.checkpoint_files import AtomicBackend
from ..runs.checkpoint_guard_hook import CheckpointGuardHook
from .class_set_hook import ClassSetHook
from ..compat.cpu_amp import CPUAmpOptimWrapper
from ..compat.cpu_parallel import CPUDistributedDataParallel, CPUSeparateDistributedDataParallel
from ..runs.exact_resume_hook import ExactResumeHook
from .fast_segmentor_hook import FastSegmentorHook
from .finite_loss_hook import FiniteLossHook
from .game_health_hook import GameHealthHook
from .optim_wrapper_constructor import PlayerOptimWrapperConstructor
from .picture_hook import PictureHook
from ..runs.preemption_hook import PreemptionHook
from .repeated_sgd import RepeatedSGD
from ..runs.resumable_train_loop import ResumableTrainLoop

__all__ = [
    'AdaptBNHook',
    'ActivationCheckpointHook',
    'AlternatingUpdateHook',
    'AtomicBackend',
    'CPUAmpOptimWrapper',
    'CPUDistributedDataParallel',
    'CPUSeparateDistributedDataParallel',
    'CheckpointGuardHook',
    'ClassSetHook',
    'ExactResumeHook',
    'FastSegmentorHook',
    'FiniteLossHook',
    'GameHealthHook',
    'PictureHook',
    'PlayerOptimWrapperConstructor',
    'PreemptionHook',
    'RepeatedSGD',
    'ResumableTrainLoop',
]
