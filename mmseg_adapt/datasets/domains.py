"""Domains side by side: a labelled source, an unlabelled target, a labelled part of it; the sampler that pairs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

import torch
from mmengine.dataset import BaseDataset
from mmengine.dist import get_dist_info, sync_random_seed
from mmseg.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import Dataset, Sampler

from ..errors import UserError
from ..random_state import derived_seed

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
    """The configs of a pair's domains by name; of any other dataset, itself as ``'source'``."""
    names = ('source', 'target', 'labeled_target')
    return {name: dataset[name] for name in names if name in dataset} or {'source': dataset}


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

    The target's labels are never read: give its dataset no ``seg_map_path`` and its pipeline no label loader. For
    semi-supervised adaptation ``labeled_target`` is a third dataset, and item (i, j, k) has a third key.

    Args:
        source: config of a labelled dataset.
        target: config of a dataset of images; without a ``pipeline`` it has the source's, less what needs labels.
        labeled_target: config of a dataset of the part of the target that has labels, if any.

    Raises:
        UserError: a domain's folder is missing or no image matched in it; a source or labelled target without labels; a
            labelled target with other classes than the source's; a target pipeline that loads labels.
    """

    def __init__(self, source: dict, target: dict, labeled_target: dict | None = None) -> None:
        if 'pipeline' not in target:
            target = {**target, 'pipeline': unlabelled(source.get('pipeline', ()))}
        if loader := next((s for s in steps_of(target.get('pipeline', ())) if s in LABEL_LOADERS), None):
            raise UserError(
                f'train_dataloader.dataset.target.pipeline has {loader}: remove it; adaptation is unsupervised and '
                'never reads target labels (labeled_target is for those that may be read)'
            )
        self.source = build_labeled('source', source)
        self.target = build_domain('target', target)
        self.domains = {'source': self.source, 'target': self.target}
        if labeled_target is not None:
            self.domains['labeled_target'] = build_labeled('labeled_target', labeled_target)
            theirs, ours = (list(self.domains[d].metainfo.get('classes') or ()) for d in ('labeled_target', 'source'))
            if theirs != ours:
                raise UserError(
                    f'train_dataloader.dataset.labeled_target has the classes {theirs}, the source {ours}: set '
                    'labeled_target.metainfo.classes to those of the source'
                )

    @property
    def metainfo(self) -> dict:
        """The source's: the classes that are learned."""
        return self.source.metainfo

    def __len__(self) -> int:
        return max(len(self.source), len(self.target))

    def __getitem__(self, indices: tuple[int, ...]) -> dict[str, dict]:
        return {name: domain[i] for (name, domain), i in zip(self.domains.items(), indices)}


def build_domain(domain: str, cfg: dict) -> BaseDataset:
    """Build one domain's dataset and make sure that it holds an image."""
    key = f'train_dataloader.dataset.{domain}'
    dataset = DATASETS.build({**cfg, 'lazy_init': True})
    try:
        dataset.full_init()
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = getattr(error, 'filename', None) or error
        raise UserError(f'{missing} does not exist: set {key}.data_root to the data, or link it there') from None
    except IndexError:
        raise UserError(
            f'{key}.indices names image {max(cfg["indices"])}, but {dataset.data_prefix["img_path"]} holds '
            f'{len(dataset.data_list)}: complete the data, or change indices'
        ) from None
    except ValueError as error:
        if isinstance(error, UserError) or dataset.data_list:
            raise
        raise UserError(  # mmengine cannot serialise an empty list
            f'no image matched *{dataset.img_suffix} under {dataset.data_prefix["img_path"]}: set {key}.img_suffix '
            'or data_prefix'
        ) from None
    return dataset


def build_labeled(domain: str, cfg: dict) -> BaseDataset:
    """Build a domain whose labels are learned from."""
    dataset = build_domain(domain, cfg)
    if dataset.data_prefix.get('seg_map_path') is None:
        raise UserError(
            f'train_dataloader.dataset.{domain} has no labels: set {domain}.data_prefix.seg_map_path to their folder'
        )
    return dataset


@DATA_SAMPLERS.register_module()
class DomainPairSampler(Sampler):
    """An endless stream of pairs (i, j), or triples, each domain shuffled on its own, pass after pass.

    Pair number p takes the p-th image of the source's stream and of the target's; rank r of w takes p = r, r + w, …
    Every image of a domain occurs once per pass whatever the other domain's size, and memory is one permutation per
    domain (a product data set would need |source| × |target|). The order of a pass depends on the seed and its number
    alone, so that a resumed run sets ``start``, the number p of its first pair, at no cost.

    Args:
        dataset: a :class:`DomainPairDataset`.
        seed: of the shuffles; by default drawn once and shared by all ranks.
        shuffle: False pairs the domains in the order of their files.
    """

    def __init__(self, dataset: DomainPairDataset, seed: int | None = None, shuffle: bool = True) -> None:
        self.sizes = tuple(len(domain) for domain in dataset.domains.values())
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.shuffle = shuffle
        self.start = 0

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        streams = [self._stream(domain, size) for domain, size in enumerate(self.sizes)]
        for number, pair in enumerate(zip(*streams)):
            if number % self.world_size == self.rank:
                yield pair

    def _stream(self, domain: int, size: int) -> Iterator[int]:
        first, offset = divmod(self.start, size)
        for number in count(first):
            yield from self._order(domain, size, number)[offset:]
            offset = 0

    def _order(self, domain: int, size: int, number: int) -> list[int]:
        """Pass ``number`` over a domain."""
        if not self.shuffle:
            return list(range(size))
        generator = torch.Generator().manual_seed(derived_seed(self.seed, domain, number))
        return torch.randperm(size, generator=generator).tolist()

    def __len__(self) -> int:
        return max(self.sizes)

    def set_epoch(self, epoch: int) -> None:
        """Nothing to do: the stream is endless. mmengine calls it on every sampler."""
