"""Which snapshot is best, and did adaptation help? Scores that need no target labels."""

from .label_free_hook import LabelFreeHook

__all__ = ['LabelFreeHook']
