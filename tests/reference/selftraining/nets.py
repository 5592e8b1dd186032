"""The small networks of the reference figures, from this package's parts, with the seeded weights of the released keys.

``config(setting)`` is what a method's ``segmentor=`` takes, ``state(setting)`` the student's weights under our keys,
``state(setting, 'imnet.')`` those of the feature distance's frozen network, ``build(setting)`` the student.
"""

import re
from pathlib import Path

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS

from mmseg_adapt.weights.selftraining import segmentor_of

from . import inputs

ARRAYS = np.load(Path(__file__).parent / 'networks.npz')
NETWORKS = {
    'dacs_dlv2': 'dlv2',
    'dacs_daformerhead': 'daformer',
    'daformer': 'daformer',
    'daformer_dropout': 'daformer',
    'daformer_aug': 'daformer',
    'mic_daformer': 'daformer',
    'mic_daformer_aug': 'daformer',
    'mic_daformer_separate': 'daformer',
    'hrda': 'hrda',
    'mic_hrda': 'hrda',
}
SETTINGS = tuple(NETWORKS)


def config(setting: str) -> ConfigDict:
    """The segmentor's config. ``data_preprocessor`` is left to the method: the images are normalised already."""
    network, dropout = NETWORKS[setting], 0.1 if setting == 'daformer_dropout' else 0.0
    if network == 'dlv2':
        parts = dict(backbone=_resnet(), decode_head=_deeplab(), test_cfg=dict(mode='whole'))
        return ConfigDict(type='MultiLevelSegmentor', **parts)
    mit = dict(type='DAFormerMixTransformer', embed_dims=8, num_layers=(1,) * 4, num_heads=(1, 2, 3, 4))
    mit['drop_path_rate'] = dropout
    head = dict(type='DAFormerHead', in_channels=(8, 16, 24, 32), embed_channels=16, channels=16, num_classes=5)
    head['dropout_ratio'] = dropout
    segmentor = dict(type='MultiLevelSegmentor', backbone=mit, decode_head=head, test_cfg=dict(mode='whole'))
    if network == 'hrda':
        segmentor.update(type='HRDASegmentor', detail_crop=(64, 64), attention_head=dict(head, dilations=None))
        segmentor['test_cfg'] = dict(mode='slide', crop_size=(128, 128), stride=(64, 64))
    return ConfigDict(segmentor)


def _resnet() -> dict:
    sizes = dict(depth=18, stem_channels=8, base_channels=8, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    return dict(type='ResNetV1c', contract_dilation=True, norm_cfg=dict(type='BN'), norm_eval=False, **sizes)


def _deeplab() -> dict:
    loss = dict(type='CrossEntropyLoss')  # over ignored pixels too, as all releases but DACS's own
    head = dict(type='DeepLabV2Head', in_channels=64, in_index=3, dilations=(6, 12), num_classes=5)
    return dict(head, align_corners=False, loss_decode=loss)


def released(setting: str, prefix: str = '') -> dict[str, torch.Tensor]:
    """The seeded parameters under the keys of the released code, float64."""
    lines = [re.fullmatch(r'(\S+) \(([\d, ]+)\)', line) for line in ARRAYS[f'{NETWORKS[setting]}/keys'].tolist()]
    shapes = {line[1]: tuple(int(n) for n in line[2].split(',') if n.strip()) for line in lines}
    return {key: torch.from_numpy(np.asarray(inputs.tensor(prefix, key, shape))) for key, shape in shapes.items()}


def state(setting: str, prefix: str = '') -> dict[str, torch.Tensor]:
    """The same under our keys."""
    return segmentor_of(released(setting, prefix))


def build(setting: str, prefix: str = '') -> torch.nn.Module:
    """The segmentor in float64 and training mode, BN's statistics at their start."""
    segmentor = MODELS.build(config(setting)).double()
    load(segmentor, state(setting, prefix))
    return segmentor


def load(module: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Every parameter from ``weights``, and nothing left of them."""
    missing, unexpected = module.load_state_dict(weights, strict=False)
    assert not unexpected, unexpected
    assert not set(missing) & set(dict(module.named_parameters())), missing
