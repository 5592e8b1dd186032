"""mmengine's distributed wrappers on a machine without a GPU."""

from __future__ import annotations

from mmengine.model import MMDistributedDataParallel, MMSeparateDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from torch import nn


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """For a plain model: no device; SyncBN, which PyTorch supports only on GPUs, becomes BN in each process."""

    def __init__(self, module: nn.Module, **kwargs) -> None:
        super().__init__(revert_sync_batchnorm(module), **{**kwargs, 'device_ids': None})


@MODEL_WRAPPERS.register_module()
class CPUSeparateDistributedDataParallel(MMSeparateDistributedDataParallel):
    """For a game, whose players are wrapped one by one: like :class:`CPUDistributedDataParallel`."""

    def __init__(self, module: nn.Module, **kwargs) -> None:
        super().__init__(revert_sync_batchnorm(module), **{**kwargs, 'device_ids': None})
