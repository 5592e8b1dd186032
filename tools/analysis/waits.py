"""Count where the host would wait for a GPU, without a GPU."""

from collections import Counter
from collections.abc import Iterable

import torch
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
READS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default}
COPIES = {aten._to_copy.default, aten.copy_.default}
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}


class Waits(TorchDispatchMode):
    """Counts operations whose result or size the host must know: ``.item()``, ``nonzero``, boolean masks.

    Copies between devices count unless they are ``non_blocking``.

    The step counters of ``optimizers`` are on the CPU even with a GPU, so reading them costs nothing. Operations that
    the dispatcher does not see, such as ``.tolist()`` of a CPU tensor, are not counted.
    """

    def __init__(self, optimizers: Iterable[torch.optim.Optimizer] = ()) -> None:
        super().__init__()
        self.optimizers = list(optimizers)
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if (
            (func in READS and not self._counts_steps(args[0]))
            or (func in INDEXING and _masked(args[1]))
            or (func in COPIES and _blocks(func, args, kwargs))
        ):
            self.found[str(func)] += 1
        return func(*args, **kwargs)

    def _counts_steps(self, tensor: torch.Tensor) -> bool:
        states = (state for optimizer in self.optimizers for state in optimizer.state.values())
        return any(state.get('step') is tensor for state in states)


def _blocks(func, args: tuple, kwargs: dict) -> bool:
    if func is aten.copy_.default:
        devices, waits = (args[0].device, args[1].device), not (args[2:] or [kwargs.get('non_blocking')])[0]
    else:
        devices, waits = (args[0].device, kwargs.get('device') or args[0].device), not kwargs.get('non_blocking')
    return waits and len({torch.device(device).type for device in devices}) == 2


def _masked(indices: list) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)
