"""Imported by the ranks of test_distributed.py: keeps what each of them ends with."""

from collections import Counter

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmseg.registry import HOOKS
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook


@HOOKS.register_module()
class SaveRank(Hook):
    """Writes ``rank<r>.pth``: the model's state, the pairs it saw, and the all-reduces of each player's gradients."""

    def __init__(self, out_dir: str) -> None:
        self.out_dir = out_dir
        self.seen = []
        self.reduced = Counter()

    def before_train(self, runner):
        for player in runner.model.module.players:
            getattr(runner.model.module, player).register_comm_hook(player, self._count)

    def _count(self, player, bucket):
        self.reduced[player] += bucket.is_last()  # large players are reduced in several buckets
        return allreduce_hook(None, bucket)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append([data_batch[d]['data_samples'][0].img_path for d in ('source', 'target')])

    def after_train(self, runner):
        state = {k: v.clone() for k, v in runner.model.module.state_dict().items()}
        torch.save(
            dict(state=state, seen=self.seen, reduced=dict(self.reduced)), f'{self.out_dir}/rank{get_rank()}.pth'
        )
