"""The model card: what a user of the folder needs to know."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mmengine.config import Config

from .. import __version__
from ..datasets.pipelines import LABEL_LOADERS
from ..datasets.streams import domains_of, image_folder, is_labelled, parts
from ..log.scalars import scalars_of
from ..weights.segmentor import dataset_meta, segmentor_config
from .card_head import card_head

LICENCES = {  # type of a data set → what its authors allow
    'GTADataset': 'GTA5: research and education only',
    'SYNTHIADataset': 'SYNTHIA: CC BY-NC-SA 3.0, non-commercial',
    'CityscapesDataset': 'Cityscapes: non-commercial',
    'CityscapesLabelsDataset': 'Cityscapes: non-commercial',
}
FILES = {
    'model.pth': 'weights as a plain MMSegmentation checkpoint',
    'config.py': 'self-contained config; a config is code, which MMSegmentation runs when it reads it',
    'model.json': 'the model as data: Predictor builds it without running config.py',
    'model.safetensors': 'the same weights as safetensors',
    'model.onnx': 'ONNX',
    'sliding.py': 'sliding windows over model.onnx, with onnxruntime and NumPy',
}


def model_card(
    cfg: Config,
    plain: Config,
    checkpoint: dict,
    path: Path,
    folder: Path,
    graphs: dict[str, str],
    name: str | None = None,
) -> str:
    """Markdown with a YAML head.

    Args:
        cfg, path: the exported config and checkpoint file; ``checkpoint`` is the content of the file.
        plain, folder: the config that was written, and its folder.
        graphs: file name → text about the file.
        name: the argument of ``Predictor`` in the example; by default the name of ``folder``.
    """
    model = segmentor_config(cfg)
    head = model.decode_head[-1] if isinstance(model.decode_head, list) else model.decode_head  # the last of a cascade
    meta = dataset_meta(cfg, checkpoint, head.num_classes)
    rows = '\n'.join(f'| {i} | {n} | {tuple(c)} |' for i, (n, c) in enumerate(zip(meta['classes'], meta['palette'])))
    files = '\n'.join(
        f'* `{file.name}`: {FILES[file.name]}{graphs.get(file.name, "")}; SHA-256 `{_digest(file)}`'
        for file in sorted(folder.iterdir())
        if file.name in FILES
    )
    needs = 'mmsegmentation and mmseg_adapt' if plain.get('custom_imports') else 'mmsegmentation'
    title = _title(cfg, folder)
    row = measured_row(path, checkpoint)
    data_sets = [part for _, part in _data_sets(cfg)]
    miou = round(row['mIoU'], 2) if row else None
    return f"""{card_head(title, data_sets, miou)}# {title}

{head.type} on {model.backbone.type}, {len(meta['classes'])} classes; exported by mmseg_adapt {__version__}
from `{path.name}`{_iteration(checkpoint)}.

## Use

```python
from mmseg_adapt import Predictor

predictor = Predictor('{name or folder.name}')
labels = predictor('street.png').labels  # (height, width), uint8
```

With MMSegmentation's own API (needs {needs}):

```python
from mmseg.apis import inference_model, init_model

model = init_model('{folder.name}/config.py', '{folder.name}/model.pth', device='cpu')
result = inference_model(model, 'street.png').pred_sem_seg
```

{_upsampling(model, plain)}## Files

{files}

## Classes

| index | class | colour (RGB) |
|---|---|---|
{rows}

## Preprocessing

{_preprocessing(cfg, model)}

## Training data

{_training(cfg)}

## Measured

{_measured(row, checkpoint)}

## Licence

The code is Apache-2.0. Weights are subject to the terms of their training data. When this file was written, these
were (without warranty):

{_licences(cfg)}
"""


def _title(cfg: Config, folder: Path) -> str:
    """The name of the config; for ``config.py`` that of its folder."""
    file = Path(cfg.filename or folder).resolve()
    return file.parent.name if file.stem == 'config' else file.stem


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _iteration(checkpoint: dict) -> str:
    iteration = (checkpoint.get('meta') or {}).get('iter')
    return '' if iteration is None else f', iteration {iteration}'


def _upsampling(model: dict, plain: Config) -> str:
    if plain.model.type in ('EncoderDecoder', 'CascadeEncoderDecoder'):
        return ''
    return (
        f'The type is `{model["type"]}`, an `EncoderDecoder` that resizes logits once, to the size of the image file.\n'
        'The weights also load into `EncoderDecoder`, which resizes logits twice. If the pipeline resizes images,\n'
        'some pixels at the borders of objects then get another label.\n\n'
    )


def _preprocessing(cfg: Config, model: dict) -> str:
    """The steps between an image file and the network."""
    before = model.get('data_preprocessor') or {}
    order = 'RGB' if before.get('bgr_to_rgb') else 'BGR'
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    steps = [dict(step) for step in dataset.get('pipeline', ()) if step['type'] not in LABEL_LOADERS]
    lines = [f'* `{step.pop("type")}` {", ".join(f"{k}={v!r}" for k, v in step.items())}'.rstrip() for step in steps]
    if before.get('mean'):
        lines.append(f'* {order} 0–255, minus {list(before["mean"])}, over {list(before["std"])}')
    else:
        lines.append(f'* {order} 0–255, not normalised')
    if (test := model.get('test_cfg') or {}).get('mode') == 'slide':
        lines.append(f'* sliding windows of {tuple(test["crop_size"])}, every {tuple(test["stride"])} (height, width)')
    return '\n'.join(lines)


def _data_sets(cfg: Config) -> list[tuple[str, dict]]:
    """(stream, data set) for each data set in each stream."""
    dataset = (cfg.get('train_dataloader') or {}).get('dataset')
    streams = {} if dataset is None else domains_of(dataset)
    return [(name, part) for name, stream in streams.items() for _, part in parts(stream)]


def _training(cfg: Config) -> str:
    lines = [f'* {_role(name)}: {part["type"]}, `{image_folder(part)}`' for name, part in _data_sets(cfg)]
    if 'segmentor' in cfg.model:
        weights = ', '.join(f'{level}: {value}' for level, value in cfg.model.get('lambda_adv', {}).items())
        lines.append(f'* method: {cfg.model.type}{weights and f", λ_adv {weights}"}')
    return '\n'.join(lines) or 'not recorded'


def _role(stream: str) -> str:
    return f'{"labelled" if is_labelled(stream) else "unlabelled"} {stream.removeprefix("labeled_")}'


def measured_row(path: Path, checkpoint: dict) -> dict | None:
    """The validation of exactly this checkpoint in the log of the run, if there is one."""
    meta = checkpoint.get('meta') or {}
    iteration = meta.get('iter')
    if meta.get('adapted_bn') or iteration is None:
        return None
    for log in sorted(path.parent.glob('*/vis_data/scalars.json'), reverse=True):
        for row in reversed(scalars_of(log)):
            if 'mIoU' in row and row.get('step') == iteration:
                return row
    return None


def _measured(row: dict | None, checkpoint: dict) -> str:
    if images := (checkpoint.get('meta') or {}).get('adapted_bn'):
        return f'Not measured: BN statistics were adapted to {images} target images after the last validation.'
    if row is None:
        return 'Not measured.'
    classes = {k.removeprefix('IoU.'): v for k, v in row.items() if k.startswith('IoU.')}
    head = f'mIoU {row["mIoU"]:.2f} on the validation images of the config at iteration {row["step"]}.'
    return head + ''.join(f'\n* {name}: {value:.2f}' for name, value in classes.items())


def _licences(cfg: Config) -> str:
    lines = []
    for _, part in _data_sets(cfg):
        line = LICENCES.get(part['type'], f'{part["type"]} ({image_folder(part) or "no folder"}): see its own terms')
        lines.append(f'* {line}')
    lines.append('* the initial weights of the training: see their own terms')
    return '\n'.join(dict.fromkeys(lines))
