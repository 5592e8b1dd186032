"""Predictions on images, in three lines: ``Predictor('exported_folder')('street.png').labels``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import TypeAlias, overload

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmseg.registry import TRANSFORMS
from torch import Tensor

from .compat.registered_types import registered_types_only
from .datasets.pipelines import LABEL_LOADERS
from .errors import UserError
from .export.hub import fetch, is_hub
from .export.model_json import NAME, read_model_json
from .files.config import config_of
from .files.image import scaled
from .models.probabilities import predicted_probabilities
from .pictures import colour_map, printable
from .weights.segmentor import dataset_meta, load_segmentor

Image: TypeAlias = str | Path | np.ndarray


@dataclass(frozen=True)
class Prediction:
    """A segmentor's prediction for one image. All arrays have the height and width of the image file.

    (If the test pipeline crops images, those of the crop.)
    """

    image: np.ndarray  # (H, W, 3) uint8, RGB
    labels: np.ndarray  # (H, W) uint8, the index of the class
    confidence: np.ndarray  # (H, W) float32, the probability of that class
    entropy: np.ndarray  # (H, W) float32, of the class probabilities: 0 certain … 1 uniform
    palette: list[list[int]]
    file_size: tuple[int, int]  # height, width before any crop

    def colours(self) -> np.ndarray:
        """(H, W, 3) uint8, RGB: every pixel in its class's colour."""
        return colour_map(self.labels, self.palette)

    def overlay(self, opacity: float = 0.5) -> np.ndarray:
        """(H, W, 3) uint8, RGB: the colours over the image."""
        return cv2.addWeighted(self.colours(), opacity, self.image, 1 - opacity, 0)


class Predictor:
    """A trained segmentor, ready for images.

    Args:
        model: a folder written by ``tools/export_segmentor.py``, one on the Hugging Face Hub (``'hf://USER/NAME'`` or
            ``'hf://USER/NAME@REVISION'``), or a config. A config is code and is executed. A folder with a model.json
            is built from that file, and nothing in the folder is executed.
        checkpoint: the weights; by default those in the folder.
        device: by default 'cuda' if there is a GPU, else 'cpu'.
        part: ``'teacher'`` to predict with a checkpoint's teacher instead of its segmentor.

    Raises:
        UserError: If a file, the part or the device is missing, or the checkpoint is of another config or needs code to
            load.

    Example::

        from mmseg_adapt import Predictor
        predictor = Predictor('exported_folder')  # or Predictor('config.py', 'checkpoint.pth')
        labels = predictor('street.png').labels   # (height, width), uint8
    """

    def __init__(
        self,
        model: str | Path,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        part: str | None = None,
    ) -> None:
        model = fetch(str(model)) if is_hub(model) else Path(model)
        if checkpoint is None:
            if not model.is_dir():
                raise UserError(
                    f'{model} is not the folder of an exported model: pass such a folder, or a config and a checkpoint'
                )
            checkpoint = model / 'model.pth'
        described = (model / NAME).is_file()
        config = model / (NAME if described else 'config.py') if model.is_dir() else model
        self.cfg = read_model_json(config) if described else config_of(str(config))
        with registered_types_only() if described else nullcontext():
            self._build(str(config), str(checkpoint), device, part)

    def _build(self, config: str, checkpoint: str, device: str | torch.device | None, part: str | None) -> None:
        device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
        segmentor, loaded = load_segmentor(self.cfg, checkpoint, part)
        try:
            self.device = torch.device(device)
            self.segmentor = segmentor.to(self.device)
        except (RuntimeError, AssertionError) as error:
            raise UserError(f'device {device} cannot be used here: choose another, such as cpu') from error
        meta = dataset_meta(self.cfg, loaded, segmentor.num_classes)
        self.classes: list[str] = meta['classes']
        self.palette: list[list[int]] = meta['palette']
        self._build_pipeline(config)

    def _build_pipeline(self, config: str) -> None:
        dataset = (self.cfg.get('test_dataloader') or {}).get('dataset') or {}
        steps = [step for step in dataset.get('pipeline', ()) if step.type not in LABEL_LOADERS]
        if not steps:
            raise UserError(f'{config} has no test_dataloader.dataset.pipeline, which prepares the images: set it')
        first = dict(steps[0])
        if first.get('type') == 'LoadImageFromFile' and first.get('imdecode_backend') == 'pillow':
            first['type'] = 'LoadImage'  # LoadImageFromFile in an export: the same pixels, any size and bits
        self._load_file = TRANSFORMS.build(first)
        self._load_array = TRANSFORMS.build(dict(type='LoadImageFromNDArray'))
        self._steps = [TRANSFORMS.build(step) for step in steps[1:]]

    @overload
    def __call__(self, images: Image, batch_size: int = 1) -> Prediction: ...

    @overload
    def __call__(self, images: list[Image], batch_size: int = 1) -> list[Prediction]: ...

    def __call__(self, images: Image | list[Image], batch_size: int = 1) -> Prediction | list[Prediction]:
        """Predict an image, or a list of images.

        Args:
            images: files, or arrays with the contents of a file: (H, W, 3) uint8, RGB, or as many bits and bands as
                ``LoadImage`` of the test pipeline states.
            batch_size: number of images of equal size to predict at once.

        Raises:
            UserError: If an image cannot be read, or an array has another type or shape.
        """
        if isinstance(images, (list, tuple)):
            return list(self.stream(images, batch_size))
        return next(self.stream([images]))

    def stream(
        self,
        images: Iterable[Image],
        batch_size: int = 1,
        skipped: Callable[[Image, UserError], None] | None = None,
    ) -> Iterator[Prediction]:
        """Like a call, but lazily, one image at a time.

        Args:
            skipped: called with every unreadable image, which is then skipped; by default its error is raised.
        """
        batch: list[tuple[np.ndarray, dict, tuple[int, int]]] = []
        for image in images:
            try:
                read = self.read(image)
            except UserError as error:
                if skipped is None:
                    raise
                skipped(image, error)
                continue
            if batch and (len(batch) == batch_size or read[1]['inputs'].shape != batch[0][1]['inputs'].shape):
                yield from self._predict(batch)
                batch = []
            batch.append(read)
        if batch:
            yield from self._predict(batch)

    def read(self, image: Image) -> tuple[np.ndarray, dict, tuple[int, int]]:
        """The image at the size that is predicted, (H, W, 3) BGR; the sample that the test pipeline makes of it; the
        height and width of the file."""
        reading = getattr(self._load_file, 'reading', {})
        plain = not any(reading.values())  # neither value_range nor channels: 8 bits, three bands
        if isinstance(image, np.ndarray) and plain and (image.dtype != np.uint8 or image.shape[2:] != (3,)):
            raise UserError(
                f'an array of {image.dtype}, {image.shape}, is not an image: pass uint8, (height, width, 3), RGB'
            )
        try:
            if isinstance(image, np.ndarray):
                name = f'the array of {image.dtype}, {image.shape},'
                sample = self._load_array(dict(img=scaled(image, False, name, **reading)))
            else:
                sample = self._load_file(dict(img_path=str(image)))
            pixels = sample['img']
        except UserError:
            raise
        except Exception as error:  # image libraries raise almost anything
            raise UserError(f'{image} cannot be read as an image: restore the file or remove it') from error
        file_size = pixels.shape[:2]
        for step in self._steps:
            sample = step(sample)
            if 'img' in sample and sample['img'].shape[:2] == tuple(sample['ori_shape']):  # for example after a crop
                pixels = sample['img']
        return pixels, sample, file_size

    @torch.no_grad()
    def _predict(self, batch: list[tuple[np.ndarray, dict, tuple[int, int]]]) -> Iterator[Prediction]:
        results = self.segmentor.test_step(pseudo_collate([sample for _, sample, _ in batch]))
        for (pixels, _, file_size), result in zip(batch, results):
            labels = result.pred_sem_seg.data[0].long()
            confidence, entropy = certainty(result.seg_logits.data, labels)
            yield Prediction(
                image=np.ascontiguousarray(printable(pixels)[..., ::-1]),
                labels=labels.to(torch.uint8).cpu().numpy(),
                confidence=confidence.cpu().numpy(),
                entropy=entropy.cpu().numpy(),
                palette=self.palette,
                file_size=file_size,
            )


def certainty(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The probability of ``labels``, and the entropy over all classes divided by its maximum, log C.

    Shape: (C, H, W), (H, W) → (H, W), (H, W).
    """
    p = predicted_probabilities(logits[None])[0]
    return p.gather(0, labels[None])[0], torch.special.entr(p).sum(0) / log(len(p))
