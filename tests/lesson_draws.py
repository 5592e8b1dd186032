"""Imported by the ranks of test_selftraining_ranks.py: draws that neither the iteration nor the rank changes."""

import torch
from mmengine.hooks import Hook
from mmseg.registry import HOOKS


@HOOKS.register_module()
class SameDraws(Hook):
    """Two ranks, and one process that accumulates, otherwise draw other classes, jitters and masks for one image."""

    def before_train(self, runner):
        model = getattr(runner.model, 'module', runner.model)
        model.clock.generator = lambda: torch.Generator().manual_seed(7)
