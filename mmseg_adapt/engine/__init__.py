from .alternating_update_hook import AlternatingUpdateHook
from .checkpoint_files import AtomicBackend
from .checkpoint_guard_hook import CheckpointGuardHook
from .cpu_amp import CPUAmpOptimWrapper
from .exact_resume_hook import ExactResumeHook
from .finite_loss_hook import FiniteLossHook
from .optim_wrapper_constructor import PlayerOptimWrapperConstructor
from .picture_hook import PictureHook
from .preemption_hook import PreemptionHook
from .repeated_sgd import RepeatedSGD
from .resumable_train_loop import ResumableTrainLoop

__all__ = [
    'AlternatingUpdateHook',
    'AtomicBackend',
    'CPUAmpOptimWrapper',
    'CheckpointGuardHook',
    'ExactResumeHook',
    'FiniteLossHook',
    'PictureHook',
    'PlayerOptimWrapperConstructor',
    'PreemptionHook',
    'RepeatedSGD',
    'ResumableTrainLoop',
]
