"""Samplers that walk each stream in its own order. A resumed run sets ``start``, which costs nothing.

They are endless. In a loop by epochs, ``PreemptionHook``, which makes sure that every loop ends, sets ``by_epoch``; one
iteration over a sampler is then one pass over the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from mmengine.dist import get_dist_info, sync_random_seed
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import Dataset, Sampler

from ..errors import UserError
from .domains import DomainPairDataset
from .orders import Order, RareClassOrder
from .rare_class_crop import RareClassCrop
from .streams import SOURCE, is_labelled, parts


class _Endless(Sampler):
    """Item p for p = start + rank, start + rank + world, …; subclasses define ``item``.

    Args:
        size: number of items, over all ranks, in a pass over the source.
    """

    def __init__(self, size: int, seed: int | None) -> None:
        self.size = size
        self.by_epoch, self.epoch = False, 0
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.start = 0

    def __iter__(self) -> Iterator:
        if not self.by_epoch:
            return (self.item(p) for p in count(self.start + self.rank, self.world_size))
        items = len(self) * self.world_size
        first = self.start + self.epoch * items
        return (self.item(p) for p in range(first + self.rank, first + items, self.world_size))

    def __len__(self) -> int:
        """Items per epoch on this rank. All ranks have the same number, so the last items may begin the next pass."""
        return -(-self.size // self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Select the pass of the next iteration, if ``by_epoch``; all epochs together give the endless stream."""
        self.epoch = epoch


@DATA_SAMPLERS.register_module()
class DomainPairSampler(_Endless):
    """A stream of pairs (i, j), or triples, …, each stream in its own order; an epoch is a pass over the source.

    Pair number p takes the p-th image of the source's order and of the target's; rank r of w takes p = r, r + w, …
    By default every image of a stream occurs once per pass, whatever the sizes of the other streams. Memory is one
    permutation per stream (a product data set would need ``|source| × |target|``). An order depends only on the seed,
    the stream's name and the position. So a resumed run only sets ``start``, the number p of its first pair, at no
    cost. If the data set has ``batch_sizes``, item p holds that many images of each stream.

    Args:
        dataset: a :class:`DomainPairDataset`.
        seed: seed of the orders; by default drawn once and shared by all ranks.
        shuffle: False walks the streams in file order.
        orders: stream → config of an :class:`~mmseg_adapt.datasets.orders.Order`, for streams with another order:
            ``dict(source=dict(type='RareClassOrder', temperature=0.01))``.

    Raises:
        UserError: If an order is for an unknown stream, or a stream has ``RareClassCrop`` but its order does not draw a
            class.
    """

    def __init__(
        self,
        dataset: DomainPairDataset,
        seed: int | None = None,
        shuffle: bool = True,
        orders: dict[str, dict] | None = None,
    ) -> None:
        streams, orders = dataset.domains, orders or {}
        if unknown := [name for name in orders if name not in streams]:
            raise UserError(f'sampler.orders has {unknown[0]!r}: it must be one of {", ".join(streams)}')
        self.batch_sizes = getattr(dataset, 'batch_sizes', None)
        default = dict(type='ShuffledOrder' if shuffle else 'SequentialOrder')
        self.orders = {name: build_order(orders.get(name, default), part, name) for name, part in streams.items()}
        sizes = self.batch_sizes or dict.fromkeys(streams, 1)
        super().__init__(-(-len(streams[SOURCE]) // sizes[SOURCE]), seed)

    def item(self, p: int) -> tuple:
        if self.batch_sizes is None:
            return tuple(order(self.seed, p) for order in self.orders.values())
        sizes = self.batch_sizes
        return tuple(
            tuple(order(self.seed, p * sizes[name] + k) for k in range(sizes[name]))
            for name, order in self.orders.items()
        )


@DATA_SAMPLERS.register_module()
class OrderSampler(_Endless):
    """A stream of indices of any data set in a source's order: rare class sampling without adaptation.

    Args:
        dataset: any data set.
        order: config of an :class:`~mmseg_adapt.datasets.orders.Order`.
        seed: seed of the order; by default drawn once and shared by all ranks.
    """

    def __init__(self, dataset: Dataset, order: dict, seed: int | None = None) -> None:
        self.order = build_order(order, dataset, SOURCE)
        super().__init__(len(dataset), seed)

    def item(self, p: int) -> int:
        return self.order(self.seed, p)


def build_order(cfg: dict, dataset: Dataset, stream: str) -> Order:
    order = DATA_SAMPLERS.build(cfg, default_args=dict(dataset=dataset, stream=stream))
    for key, part in parts(dataset, stream) if is_labelled(stream) else ():
        steps = getattr(getattr(part, 'pipeline', None), 'transforms', ())
        if any(isinstance(step, RareClassCrop) for step in steps) and not isinstance(order, RareClassOrder):
            raise UserError(
                f'{key}.pipeline has RareClassCrop, but the order of the {stream} does not draw classes: set '
                f"sampler.orders.{stream} = dict(type='RareClassOrder'), or use RandomCrop"
            )
    return order
