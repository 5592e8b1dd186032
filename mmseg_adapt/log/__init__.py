"""Logging, and reading logs back."""

from .deferred_log_hook import DeferredLogHook
from .significant_log_processor import SignificantLogProcessor

__all__ = [
    'DeferredLogHook',
    'SignificantLogProcessor',
]
