"""Parallel streams: a labelled source, an unlabelled target, a labelled part of it, and further named streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS
from mmseg.registry import DATASETS
from torch.utils.data import Dataset

from ..errors import UserError
from .pipelines import LABEL_LOADERS, steps_of
from .streams import LABELED_TARGET, SOURCE, TARGET, is_labelled, parts, with_pipelines

ROOT = 'train_dataloader.dataset'
META = ['classes', 'palette', 'label_map', 'reduce_zero_label']  # may differ; classes are compared here


@DATASETS.register_module()
class DomainPairDataset(Dataset):
    """Item (i, j) is ``{'source': source[i], 'target': target[j]}``; use it with :class:`DomainPairSampler`.

    Labels of the target are never read: give its dataset no ``seg_map_path`` and its pipeline no label loader. For
    semi-supervised adaptation, ``labeled_target`` is a third stream, and item (i, j, k) has a third key. Any further
    argument is a stream of that name: ``night=dict(type=…)`` is a second target. A stream has labels if it is the
    source or its name begins with ``labeled_``.

    Each stream is the config of any data set, or of several: ``dict(type='ConcatDataset', datasets=[…])``,
    ``dict(type='RepeatDataset', dataset=…, times=3)``. A data set without a ``pipeline`` uses the source's (that of
    the first one), without the steps that need labels if none are read.

    Args:
        source: config of a labelled dataset.
        target: config of a dataset of images.
        labeled_target: config of a dataset of the labelled part of the target, if any.
        batch_sizes: images of each stream in an item; 1 if not given. The data loader's ``batch_size`` counts items:
            ``batch_sizes=dict(source=2, target=4)`` with ``batch_size=1`` trains on 2 + 4 images. The values of an
            item are then lists, and :func:`collate_streams` collates item ((i, j), (k, l, m, n)).
            :class:`~mmseg_adapt.runs.ResumableTrainLoop` uses it automatically.
        **further: configs of further streams.

    Raises:
        UserError: If a stream's folder is missing or has no matching image, a labelled stream has no labels, its
            classes differ from the source's, the pipeline of an unlabelled stream loads labels, or a batch size is
            below 1 or for an unknown stream.
    """

    def __init__(
        self,
        source: dict,
        target: dict,
        labeled_target: dict | None = None,
        batch_sizes: dict[str, int] | None = None,
        **further: dict,
    ) -> None:
        if wrong := [name for name, value in further.items() if not isinstance(value, dict)]:
            raise UserError(f'{ROOT}.{wrong[0]} must be the config of a data set: correct or remove it')
        streams = {SOURCE: source, TARGET: target, LABELED_TARGET: labeled_target, **further}
        streams = with_pipelines({name: cfg for name, cfg in streams.items() if cfg is not None})
        for name, cfg in streams.items():
            check_stream(name, cfg)
        self.domains = {name: build_stream(name, cfg) for name, cfg in streams.items()}
        for name, cfg in streams.items():
            self._check_classes(name, cfg)
        self.batch_sizes = self._sizes(batch_sizes) if batch_sizes else None

    def _check_classes(self, name: str, cfg: dict) -> None:
        """Require the source's classes of a labelled stream, and of an unlabelled one whose config names classes."""
        ours = list(self.metainfo.get('classes') or ())
        for (key, part), (_, part_cfg) in zip(parts(self.domains[name], name), parts(cfg)):
            named = is_labelled(name) or (part_cfg.get('metainfo') or {}).get('classes')
            theirs = list(part.metainfo.get('classes') or ())
            if named and theirs != ours:
                raise UserError(
                    f'{ROOT}.{key} has the classes {theirs}, but the source has {ours}: set {key}.metainfo.classes to '
                    'those of the source'
                )

    def _sizes(self, sizes: dict[str, int]) -> dict[str, int]:
        for name, size in sizes.items():
            if name not in self.domains:
                raise UserError(f'{ROOT}.batch_sizes has {name!r}: it must be one of {", ".join(self.domains)}')
            if not isinstance(size, int) or size < 1:
                raise UserError(f'{ROOT}.batch_sizes.{name} = {size!r} must be an integer of at least 1')
        return {name: sizes.get(name, 1) for name in self.domains}

    @property
    def metainfo(self) -> dict:
        """The source's metainfo: the classes to learn."""
        return self.domains[SOURCE].metainfo

    def __len__(self) -> int:
        sizes = self.batch_sizes or dict.fromkeys(self.domains, 1)
        return max(-(-len(domain) // sizes[name]) for name, domain in self.domains.items())

    def __getitem__(self, indices: Sequence) -> dict[str, Any]:
        items = zip(self.domains.items(), indices)
        if self.batch_sizes is None:
            return {name: domain[i] for (name, domain), i in items}
        return {name: [domain[i] for i in several] for (name, domain), several in items}


@FUNCTIONS.register_module()
def collate_streams(items: Sequence[dict[str, list[dict]]]) -> dict[str, dict]:
    """Collate items with several samples of each stream: stream → its batch, as ``pseudo_collate`` returns it."""
    return {name: pseudo_collate([sample for item in items for sample in item[name]]) for name in items[0]}


def check_stream(name: str, cfg: dict) -> None:
    """Check a stream's config, before any file is read."""
    for key, part in parts(cfg, name):
        loader = next((step for step in steps_of(part.get('pipeline', ())) if step in LABEL_LOADERS), None)
        if loader and not is_labelled(name):
            raise UserError(
                f'{ROOT}.{key}.pipeline has {loader}: remove it; adaptation is unsupervised and never reads target '
                f'labels (use the stream {LABELED_TARGET} for labels to train on)'
            )
        if 'type' not in part:
            raise UserError(f'{ROOT}.{key} has no type: set it to a data set type, or remove {name}')


def build_stream(name: str, cfg: dict) -> Dataset:
    """Build a stream's data sets and check that each contains an image, and labels if they are read.

    Raises:
        UserError: see :class:`DomainPairDataset`.
    """
    stream = DATASETS.build(_lazy(cfg))
    for (key, part), (_, part_cfg) in zip(parts(stream, name), parts(cfg)):
        _list_files(part, f'{ROOT}.{key}', part_cfg)
        if is_labelled(name) and part.data_prefix.get('seg_map_path') is None:
            raise UserError(f'{ROOT}.{key} has no labels: set {key}.data_prefix.seg_map_path to their folder')
    if hasattr(stream, 'full_init'):
        stream.full_init()
    if not len(stream):
        raise UserError(f'{ROOT}.{name} contains no images: check its folder, indices and times')
    return stream


def _lazy(cfg: dict) -> dict:
    """The config, changed so that files are listed only in :func:`_list_files` and only classes must agree."""
    cfg = {'_scope_': 'mmseg', **cfg, 'lazy_init': True}
    if 'datasets' in cfg:
        meta = {key for _, part in parts(cfg) for key in part.get('metainfo') or ()}
        cfg = {'ignore_keys': sorted(meta.union(META)), **cfg, 'datasets': [_lazy(part) for part in cfg['datasets']]}
    elif 'dataset' in cfg:
        cfg['dataset'] = _lazy(cfg['dataset'])
    return cfg


def _list_files(dataset: Any, key: str, cfg: dict) -> None:
    try:
        dataset.full_init()
        empty = not len(dataset)
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = getattr(error, 'filename', None) or error
        raise UserError(f'{missing} does not exist: set {key}.data_root to the data, or link the data there') from None
    except IndexError:
        raise UserError(
            f'{key}.indices has {max(cfg["indices"])}, but {dataset.data_prefix["img_path"]} contains only '
            f'{len(dataset.data_list)} images: complete the data, or change indices'
        ) from None
    except ValueError as error:
        if isinstance(error, UserError) or dataset.data_list:
            raise
        empty = True  # mmengine cannot serialise an empty list
    if empty:
        raise UserError(
            f'no image matches *{dataset.img_suffix} in {dataset.data_prefix["img_path"]}: set {key}.img_suffix '
            'or data_prefix'
        )
