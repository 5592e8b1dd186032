"""Export an adapted segmentor to files that work without the training code."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS

from ..errors import UserError
from ..files.whole import staged
from ..models.low_rank import merge_low_rank
from ..weights.load import read_checkpoint
from ..weights.segmentor import dataset_meta, load_segmentor
from .card import model_card
from .graph import ImageToLabels, slides, write_onnx, write_sliding
from .model_json import NAME, read_model_json, write_model_json
from .plain import plain_config


def export_segmentor(
    cfg: Config,
    checkpoint: str,
    out: str | Path,
    onnx: str | None = None,
    safetensors: bool = False,
    part: str | None = None,
    overwrite: bool = False,
    name: str | None = None,
) -> Path:
    """Write the folder ``out`` atomically: model.pth, config.py, model.json, README.md and the requested extras.

    Args:
        cfg: the training config.
        checkpoint: a file written by training.
        onnx: ``'probabilities'`` or ``'labels'``, to also write model.onnx, and sliding.py if the model is tested in
            sliding windows.
        part: ``'teacher'`` to export the teacher of the checkpoint instead of its segmentor.
        name: the name of the model in the examples of the model card, such as ``'hf://USER/NAME'``.

    Raises:
        UserError: see :func:`~mmseg_adapt.weights.segmentor.load_segmentor`, :func:`.graph.write_onnx`; ``out`` exists.
    """
    with staged(out, overwrite, folder=True) as folder:
        model, loaded = load_segmentor(cfg, checkpoint, part)
        merge_low_rank(model)
        plain = plain_config(cfg)
        plain.dump(folder / 'config.py')
        state = {key: value.cpu().contiguous() for key, value in model.state_dict().items()}
        meta = dataset_meta(cfg, loaded, model.num_classes)
        torch.save(dict(state_dict=state, meta=dict(dataset_meta=meta)), folder / 'model.pth')
        _write_data(plain, meta, folder / NAME)
        if safetensors:
            _save_safetensors(state, folder / 'model.safetensors')
        _check_strict(folder)
        graphs = {'model.onnx': _write_graph(model, onnx, folder)} if onnx else {}
        card = model_card(cfg, plain, loaded, Path(checkpoint), folder, graphs, name)
        (folder / 'README.md').write_text(card, encoding='utf-8')
    return Path(out)


def _write_graph(model: EncoderDecoder, output: str, folder: Path) -> str:
    """Write model.onnx, print how close it is to the deployed inference, and return its text for the card."""
    graph = ImageToLabels(model, output)
    gap = write_onnx(graph, folder / 'model.onnx')
    if not slides(model):
        print_log(f'model.onnx agrees with PyTorch to {gap:.1e} at three image sizes', 'current')
        return _signature(graph)
    gap, share = write_sliding(graph, folder / 'model.onnx', folder / 'sliding.py')
    if share is None:
        said = f'for images of another size, use sliding.py, which agrees with PyTorch to {gap:.1e}'
        print_log(f'model.onnx takes images of {graph.size[0]}×{graph.size[1]}; {said}', 'current')
        return f'{_signature(graph)}; {said}'
    said = (
        f'model.onnx takes the whole image at once, but this model is tested in sliding windows: {share:.1%} of the '
        f'pixels of a random image get another label. Use sliding.py, which agrees with PyTorch to {gap:.1e}'
    )
    print_log(said, 'current', level=logging.WARNING)
    return f'{_signature(graph)}; {said}'


def _signature(graph: ImageToLabels) -> str:
    output = graph.output
    shape = '(N, classes, H, W) float32' if output == 'probabilities' else '(N, H, W) int64'
    size = f'N = 1, {graph.size[0]}×{graph.size[1]}' if graph.size else 'any N, H and W'
    return (
        f', input `image` (N, 3, H, W) float32, RGB, 0–255, {size} (the graph normalises the image but '
        f'does not resize it), output `{output}` {shape}'
    )


def _save_safetensors(state: dict, path: Path) -> None:
    try:
        from safetensors.torch import save
    except ImportError:
        raise UserError("--safetensors needs safetensors: run: pip install 'mmseg_adapt[export]'") from None
    path.write_bytes(save(state))


def _write_data(plain: Config, meta: dict, file: Path) -> None:
    """Write model.json. If the model needs other people's code, print instead that it cannot be pushed."""
    try:
        write_model_json(plain, meta, file)
    except UserError as error:
        print_log(f'{NAME} is not written, and --push is not possible: {error}', 'current', level=logging.WARNING)
        return
    if read_model_json(file).model.to_dict() != plain.model.to_dict():
        raise UserError(f'{NAME} does not hold the model of config.py: report this with your config')


def _check_strict(folder: Path) -> None:
    """Read the written files back as a user would."""
    cfg = Config.fromfile(folder / 'config.py')
    init_default_scope('mmseg')
    MODELS.build(cfg.model).load_state_dict(read_checkpoint(folder / 'model.pth')['state_dict'], strict=True)
