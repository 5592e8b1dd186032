"""What makes runs robust: exact resume, preemption, atomic checkpoints, protection of the work dir."""

from ..files.whole import AtomicBackend
from .checkpoint_guard_hook import CheckpointGuardHook
from .exact_resume_hook import ExactResumeHook
from .preemption_hook import PreemptionHook
from .resumable_train_loop import ResumableTrainLoop

__all__ = [
    'AtomicBackend',
    'CheckpointGuardHook',
    'ExactResumeHook',
    'PreemptionHook',
    'ResumableTrainLoop',
]
