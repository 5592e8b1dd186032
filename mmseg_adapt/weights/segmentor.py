"""The segmentor without its adapter, or a plain model, with the weights of a checkpoint."""

from __future__ import annotations

from copy import deepcopy

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmseg.models import EncoderDecoder
from mmseg.registry import DATASETS, MODELS

from ..errors import UserError
from .load import read_checkpoint
from .parts import frozen_names, loaded


def segmentor_config(cfg: Config) -> ConfigDict:
    """``cfg.model`` without its adapter and without the source of its initial weights."""
    model = deepcopy(cfg.model)
    if 'segmentor' in model:
        own = model.get('data_preprocessor')
        model = model.segmentor
        if own is not None:
            model.data_preprocessor = own
    model.pop('train_cfg', None)
    model.pop('projection', None)  # only for training
    _forget_init(model)
    return model


def _forget_init(part) -> None:
    if isinstance(part, dict):
        part.pop('pretrained', None)
        if part.get('type') == 'TIMMBackbone':  # by default it downloads
            part['pretrained'] = False
        for key in [key for key, value in part.items() if key == 'init_cfg' and 'Pretrained' in str(value)]:
            part[key] = None
        for value in part.values():
            _forget_init(value)
    elif isinstance(part, (list, tuple)):
        for value in part:
            _forget_init(value)


def build_segmentor(cfg: Config) -> EncoderDecoder:
    """Raises: UserError: the model is not an ``EncoderDecoder``."""
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    model = MODELS.build(segmentor_config(cfg))
    if not isinstance(model, EncoderDecoder):
        raise UserError(f'model is a {type(model).__name__}: use a config whose segmentor is an EncoderDecoder')
    return model.eval()


def load_segmentor(cfg: Config, path: str, part: str | None = None) -> tuple[EncoderDecoder, dict]:
    """The segmentor of ``cfg`` in evaluation mode with the weights of ``path``, and the whole checkpoint.

    Args:
        path: a checkpoint of an adapter or of a plain segmentor.
        part: ``'teacher'`` for the teacher's weights instead of the segmentor's.

    Raises:
        UserError: the file cannot be read safely, does not fit this config, or does not have ``part``.
    """
    checkpoint = read_checkpoint(path)
    model = build_segmentor(cfg)
    state, _ = loaded(model.state_dict(), checkpoint, path, part, frozen=frozen_names(model))
    model.load_state_dict(state)
    return model, checkpoint


def dataset_meta(cfg: Config, checkpoint: dict, classes: int) -> dict:
    """``classes`` and ``palette`` of a model: from the checkpoint, from the config's test set, or generated.

    Raises:
        UserError: the number of names differs from the number of classes.
    """
    found = (checkpoint.get('meta') or {}).get('dataset_meta') or _meta_of_config(cfg) or {}
    names = list(found.get('classes') or [f'class {i}' for i in range(classes)])
    if len(names) != classes:
        raise UserError(
            f'the model predicts {classes} classes, but its data set has {len(names)}: set metainfo.classes of '
            'test_dataloader.dataset'
        )
    palette = [list(map(int, colour)) for colour in found.get('palette') or ()]
    if len(palette) != classes:
        generator = torch.Generator().manual_seed(0)
        palette = torch.randint(0, 256, (classes, 3), generator=generator).tolist()
    return dict(classes=names, palette=palette)


def _meta_of_config(cfg: Config) -> dict | None:
    dataset = (cfg.get('test_dataloader') or {}).get('dataset')
    while dataset is not None and 'dataset' in dataset:
        dataset = dataset.dataset
    if dataset is None:
        return None
    known = getattr(DATASETS.get(dataset.type), 'METAINFO', {})
    return {**known, **(dataset.get('metainfo') or {})}
