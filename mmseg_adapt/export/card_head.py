"""The YAML head of a model card: what the Hugging Face Hub lists, filters by and shows next to it."""

from __future__ import annotations

import re

import yaml

DATA_SETS = {  # type of a data set → its name
    'ACDCDataset': 'acdc',
    'BDD100KDataset': 'bdd100k',
    'CityscapesDataset': 'cityscapes',
    'CityscapesLabelsDataset': 'cityscapes',
    'CrossCityDataset': 'cross-city',
    'GTADataset': 'gta5',
    'SYNTHIADataset': 'synthia',
}


def card_head(title: str, data_sets: list[dict], miou: float | None) -> str:
    """The head with its fences.

    Args:
        data_sets: the configs of the training data. Your own data set gets the name of its folder.
        miou: percent, on the validation images of the config; None if it was not measured.
    """
    names = [name for name in map(_name, data_sets) if name]
    head: dict = dict(
        library_name='mmseg_adapt',
        pipeline_tag='image-segmentation',
        license='other',  # the terms of the training data, which the card lists
        license_name='terms-of-the-training-data',
        tags=['mmsegmentation', 'semantic-segmentation', 'domain-adaptation'],
        datasets=list(dict.fromkeys(names)),
        metrics=['mean_iou'],
    )
    if miou is not None:
        task = dict(type='image-segmentation')
        data = dict(type='validation', name='validation images of the config')
        result = dict(task=task, dataset=data, metrics=[dict(type='mean_iou', name='mIoU (%)', value=miou)])
        head['model-index'] = [dict(name=title, results=[result])]
    return f'---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n'


def _name(part: dict) -> str:
    folder = str(part.get('data_root') or '').rstrip('/').rpartition('/')[2]
    return DATA_SETS.get(part['type']) or re.sub(r'[^a-z0-9]+', '-', folder.lower()).strip('-')
