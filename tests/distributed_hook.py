"""Imported by the ranks of test_distributed.py: keeps what each of them ends with."""

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmseg.registry import HOOKS


@HOOKS.register_module()
class SaveRank(Hook):
    """Writes ``rank<r>.pth``: the model's state, the pairs it saw and the last losses."""

    def __init__(self, out_dir: str) -> None:
        self.out_dir = out_dir
        self.seen = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append([data_batch[d]['data_samples'][0].img_path for d in ('source', 'target')])

    def after_train(self, runner):
        state = {k: v.clone() for k, v in runner.model.module.state_dict().items()}
        torch.save(dict(state=state, seen=self.seen), f'{self.out_dir}/rank{get_rank()}.pth')
