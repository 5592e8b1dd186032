"""Two domains side by side: a labelled source, an unlabelled target, and the sampler that pairs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from mmengine.dataset import BaseDataset
from mmengine.dist import get_dist_info, sync_random_seed
from mmseg.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import Dataset, Sampler

from ..errors import UserError

LABEL_LOADERS = ('LoadAnnotations', 'LoadLabels')


def steps_of(node) -> Iterator[str]:
    """The types of all steps of a pipeline, of those within other steps too."""
    if isinstance(node, dict):
        yield from [node['type']] if 'type' in node else []
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from steps_of(child)


def domains_of(dataset: dict) -> dict[str, dict]:
    """The configs of a pair's ``'source'`` and ``'target'``; of any other dataset, itself as ``'source'``."""
    return {name: dataset[name] for name in ('source', 'target') if name in dataset} or {'source': dataset}


def unlabelled(pipeline: Sequence[dict]) -> list[dict]:
    """The same steps without labels: none are loaded, and no crop looks at the classes in it."""
    steps = [dict(step) for step in pipeline if step['type'] not in LABEL_LOADERS]
    for step in steps:
        if 'cat_max_ratio' in step:
            step['cat_max_ratio'] = 1.0
        if step['type'] == 'Cached':
            step['transforms'] = unlabelled(step['transforms'])
    return steps


@DATASETS.register_module()
class DomainPairDataset(Dataset):
    """Item (i, j) is ``{'source': source[i], 'target': target[j]}``; use it with :class:`DomainPairSampler`.

    The target's labels are never read: give its dataset no ``seg_map_path`` and its pipeline no label loader.

    Args:
        source: config of a labelled dataset.
        target: config of a dataset of images; without a ``pipeline`` it has the source's, less what needs labels.

    Raises:
        UserError: a domain's folder is missing or no image matched in it; a source without labels; a target pipeline
            that loads them.
    """

    def __init__(self, source: dict, target: dict) -> None:
        if 'pipeline' not in target:
            target = {**target, 'pipeline': unlabelled(source.get('pipeline', ()))}
        if loader := next((s for s in steps_of(target.get('pipeline', ())) if s in LABEL_LOADERS), None):
            raise UserError(
                f'train_dataloader.dataset.target.pipeline has {loader}: remove it; adaptation is unsupervised and '
                'never reads target labels'
            )
        self.source = build_domain('source', source)
        if self.source.data_prefix.get('seg_map_path') is None:
            raise UserError(
                'train_dataloader.dataset.source has no labels: set source.data_prefix.seg_map_path to their folder'
            )
        self.target = build_domain('target', target)

    @property
    def metainfo(self) -> dict:
        """The source's: the classes that are learned."""
        return self.source.metainfo

    def __len__(self) -> int:
        return max(len(self.source), len(self.target))

    def __getitem__(self, pair: tuple[int, int]) -> dict[str, dict]:
        i, j = pair
        return {'source': self.source[i], 'target': self.target[j]}


def build_domain(domain: str, cfg: dict) -> BaseDataset:
    """Build one domain's dataset and make sure that it holds an image."""
    key = f'train_dataloader.dataset.{domain}'
    dataset = DATASETS.build({**cfg, 'lazy_init': True})
    try:
        dataset.full_init()
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = getattr(error, 'filename', None) or error
        raise UserError(f'{missing} does not exist: set {key}.data_root to the data, or link it there') from None
    except ValueError as error:
        if isinstance(error, UserError) or dataset.data_list:
            raise
        raise UserError(  # mmengine cannot serialise an empty list
            f'no image matched *{dataset.img_suffix} under {dataset.data_prefix["img_path"]}: set {key}.img_suffix '
            'or data_prefix'
        ) from None
    return dataset


@DATA_SAMPLERS.register_module()
class DomainPairSampler(Sampler):
    """An endless stream of pairs (i, j), each domain shuffled on its own, pass after pass.

    Pair number p takes the p-th image of the source's stream and of the target's; rank r of w takes p = r, r + w, …
    Every image of a domain occurs once per pass whatever the other domain's size, and memory is one permutation per
    domain (a product data set would need |source| × |target|).

    Args:
        dataset: a :class:`DomainPairDataset`.
        seed: of the shuffles; by default drawn once and shared by all ranks.
        shuffle: False pairs the domains in the order of their files.
    """

    def __init__(self, dataset: DomainPairDataset, seed: int | None = None, shuffle: bool = True) -> None:
        self.sizes = (len(dataset.source), len(dataset.target))
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[tuple[int, int]]:
        streams = [self._stream(domain, size) for domain, size in enumerate(self.sizes)]
        for number, pair in enumerate(zip(*streams)):
            if number % self.world_size == self.rank:
                yield pair

    def _stream(self, domain: int, size: int) -> Iterator[int]:
        generator = torch.Generator()
        generator.manual_seed(2 * self.seed + domain)
        while True:
            yield from torch.randperm(size, generator=generator).tolist() if self.shuffle else range(size)

    def __len__(self) -> int:
        return max(self.sizes)

    def set_epoch(self, epoch: int) -> None:
        """Nothing to do: the stream is endless. mmengine calls it on every sampler."""
