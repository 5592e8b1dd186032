"""All samples once, in batches of nearly equal size."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mmengine.dataset import DefaultSampler
from torch.utils.data import Sampler


class EvenBatches(Sampler):
    """All of a rank's samples in batches of at most ``batch_size``; the sizes differ by at most one.

    So no batch is too small for a layer to compute a variance, and all ranks have the same number of batches (SyncBN
    waits for them).
    """

    def __init__(self, sampler: DefaultSampler, batch_size: int) -> None:
        self.sampler = sampler
        most = math.ceil(len(sampler.dataset) / sampler.world_size)  # images per rank
        self.count = math.ceil(most / batch_size)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[list[int]]:
        samples = list(self.sampler)
        return iter([samples[i :: self.count] for i in range(min(self.count, len(samples)))])
