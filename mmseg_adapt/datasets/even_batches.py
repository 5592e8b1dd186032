"""All samples once, in batches of nearly equal size."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mmengine.dataset import DefaultSampler
from torch.utils.data import Sampler


class EvenBatches(Sampler):
    """All of a rank's samples in batches of at most ``batch_size``, whose sizes differ by one at most.

    So no batch is left of which a layer could not take a variance, and every rank has as many batches as the others
    (SyncBN waits for them).
    """

    def __init__(self, sampler: DefaultSampler, batch_size: int) -> None:
        self.sampler = sampler
        most = math.ceil(len(sampler.dataset) / sampler.world_size)  # images of a rank
        self.count = math.ceil(most / batch_size)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[list[int]]:
        samples = list(self.sampler)
        return iter([samples[i :: self.count] for i in range(min(self.count, len(samples)))])
