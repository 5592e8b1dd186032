"""Turn an adapted model into a plain MMSegmentation model: a self-contained config and a state_dict."""

from __future__ import annotations

from copy import deepcopy

from mmengine.config import Config, ConfigDict
from mmseg.registry import DATASETS, METRICS, MODELS, TRANSFORMS

from ..datasets.pipelines import LABEL_LOADERS
from ..weights.segmentor import segmentor_config

OPTIONS = dict(others='error', without_label='error', label_channel=None, pair=None)  # only our data sets have these
LOADER = {'to_float32', 'color_type', 'imdecode_backend', 'ignore_empty', 'backend_args'}  # LoadImageFromFile's
TRAINING_ONLY = ('low_rank', 'projection')  # merged into the weights, dropped
PLAIN = dict(MultiLevelSegmentor='EncoderDecoder', MultiLevelCascade='CascadeEncoderDecoder')
RUNTIME = ('default_scope', 'env_cfg', 'vis_backends', 'visualizer', 'log_processor', 'log_level')
HOOKS = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    checkpoint=dict(type='CheckpointHook', by_epoch=False),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'),
)


def plain_config(cfg: Config) -> Config:
    """A self-contained config for ``mmseg.apis.init_model`` and MMSegmentation's ``tools/test.py``.

    A ``MultiLevelSegmentor`` becomes ``EncoderDecoder`` (a ``MultiLevelCascade`` ``CascadeEncoderDecoder``) if that
    gives the same predictions. With ``test_cfg.single_upsampling`` it does not, because ``EncoderDecoder`` resizes the
    logits twice: the type then stays, and the config imports this package. MMSegmentation's own step loads the images,
    because its ``MMSegInferencer`` looks for it. If the model's type is MMSegmentation's, the parts that load labels
    and score predictions are replaced by MMSegmentation's too, where it has equal ones.
    """
    model = segmentor_config(cfg)
    if model.type in PLAIN and not (model.get('test_cfg') or {}).get('single_upsampling'):
        model.type = PLAIN[model.type]
    for key in TRAINING_ONLY:
        model.pop(key, None)
    if model.backbone.type == 'FoundationViT':
        vit = dict(features_only=True, pretrained=False, dynamic_img_size=True, out_indices=(-1,))
        model.backbone = dict(vit, **{**model.backbone, 'type': 'TIMMBackbone'})
    plain = dict(default_scope='mmseg', model=model, load_from=None, resume=False, default_hooks=deepcopy(HOOKS))
    plain.update({key: deepcopy(cfg[key]) for key in RUNTIME if cfg.get(key) is not None})
    if plain.get('log_processor'):
        plain['log_processor'].pop('type', None)  # it is for the console
    if cfg.get('test_dataloader') is not None:
        for key in ('test_dataloader', 'test_evaluator'):
            plain[key] = deepcopy(cfg[key])
        plain['test_cfg'] = dict(type='TestLoop')
    plain = load_images(plain) if ours(model) else stock(plain)
    if 'test_dataloader' in plain:
        plain['test_pipeline'] = inference_pipeline(plain['test_dataloader']['dataset'].get('pipeline', []))
    imports = [name for name in (cfg.get('custom_imports') or {}).get('imports', []) if name != 'mmseg_adapt']
    if ours(plain):
        imports = ['mmseg_adapt', *imports]
    if imports:
        # a stock model works without the package; only its test set may need it
        plain['custom_imports'] = dict(imports=imports, allow_failed_imports=not ours(model))
    return Config(plain)


def ours(part) -> list[str]:
    """The types of this package in a part of a config."""
    if isinstance(part, dict):
        found = [name for value in part.values() for name in ours(value)]
        return [part['type'], *found] if _is_ours(part.get('type')) else found
    return [name for value in part for name in ours(value)] if isinstance(part, (list, tuple)) else []


def _is_ours(name) -> bool:
    kinds = (
        [registry.get(name) for registry in (MODELS, TRANSFORMS, DATASETS, METRICS)] if isinstance(name, str) else []
    )
    return any(kind is not None and kind.__module__.startswith('mmseg_adapt.') for kind in kinds)


def inference_pipeline(pipeline: list[dict]) -> list[dict]:
    """The pipeline for ``inference_model``, which passes files or arrays but no labels."""
    steps = [deepcopy(step) for step in pipeline if step['type'] not in LABEL_LOADERS]
    if steps and steps[0]['type'] == 'LoadImageFromFile':
        steps[0]['type'] = 'InferencerLoader'
    return steps


def load_images(part):
    """Replace ``LoadImage`` by MMSegmentation's ``LoadImageFromFile`` if that reads the same pixels."""
    if isinstance(part, dict):
        part = type(part)({key: load_images(value) for key, value in part.items()})
        if part.get('type') == 'LoadImage' and part.keys() <= LOADER | {'type'}:
            return type(part)({'imdecode_backend': 'pillow', **part, 'type': 'LoadImageFromFile'})
        return part
    return type(part)(map(load_images, part)) if isinstance(part, (list, tuple)) else part


def stock(part):
    """Replace types of this package by equal types of MMSegmentation. Data sets are replaced as a whole or not at all
    (except the step that loads images), because their pipeline steps depend on them."""
    if isinstance(part, dict):
        equal = ConfigDict({key: stock(value) for key, value in _equal_of(part).items()})
        return load_images(part) if 'pipeline' in part and ours(equal) else equal
    return type(part)(map(stock, part)) if isinstance(part, (list, tuple)) else part


def _equal_of(part: dict) -> dict:
    kind = part.get('type')
    if kind == 'LoadImage':
        return load_images(part)
    if kind == 'LoadLabels':
        return dict(type='LoadAnnotations')
    if kind == 'ClassIoUMetric':
        return {key: value for key, value in part.items() if key != 'without'} | dict(type='IoUMetric')
    ends = [part.get(key, '') for key in ('img_suffix', 'seg_map_suffix')]
    options = all(part.get(key, default) == default for key, default in OPTIONS.items())
    if options and all(isinstance(end, str) for end in ends):
        rest = {key: value for key, value in part.items() if key not in (*OPTIONS, 'id_map')}
        if kind == 'CityscapesLabelsDataset' and 'id_map' not in part:
            return {**rest, 'type': 'CityscapesDataset'}
        if kind == 'IdMappedDataset' and _keeps_ids(part):
            return {'seg_map_suffix': '.png', **rest, 'type': 'BaseSegDataset'}
    return part


def _keeps_ids(part: dict) -> bool:
    return all(int(key) == value for key, value in (part.get('id_map') or {}).items())
