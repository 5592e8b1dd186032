"""Where the host would wait for a GPU, counted without one."""

from collections import Counter
from collections.abc import Iterable

import torch
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
READS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default}
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}


class Waits(TorchDispatchMode):
    """Counts the operations whose result, or whose size, the host must know: ``.item()``, ``nonzero``, boolean masks.

    ``on_host`` are tensors that stay on the CPU beside a GPU, as Adam's step counters do: to read them costs nothing.
    What the dispatcher does not show, such as ``.tolist()`` of a CPU tensor, is not counted.
    """

    def __init__(self, on_host: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()
        self.on_host = {id(tensor) for tensor in on_host}
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if (func in READS and id(args[0]) not in self.on_host) or (func in INDEXING and _masked(args[1])):
            self.found[str(func)] += 1
        return func(*args, **(kwargs or {}))


def step_counters(optimizers: Iterable[torch.optim.Optimizer]) -> list[torch.Tensor]:
    """The tensors in which optimisers count their steps."""
    states = [state for optimizer in optimizers for state in optimizer.state.values()]
    return [state['step'] for state in states if isinstance(state.get('step'), torch.Tensor)]


def _masked(indices: list) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)
