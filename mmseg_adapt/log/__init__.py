"""What is logged, and read back."""

from .deferred_log_hook import DeferredLogHook
from .significant_log_processor import SignificantLogProcessor

__all__ = [
    'DeferredLogHook',
    'SignificantLogProcessor',
]
