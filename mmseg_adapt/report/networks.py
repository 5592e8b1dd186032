"""The networks that provide features for a gap: an AAN encoder, or a trained segmentor."""

from __future__ import annotations

from collections import defaultdict

import cv2
import numpy as np
import torch
from mmseg.models import EncoderDecoder

from ..errors import UserError
from ..files.config import config_of
from ..predictor import Predictor
from ..style.encoder import build_encoder

WIDTH = 256  # pixels: images are scaled to this width for the network


def sized(image: np.ndarray) -> torch.Tensor:
    """(H, W, 3) BGR → (1, 3, h, :data:`WIDTH`) float32, BGR, 0 … 255."""
    height = max(32, round(image.shape[0] * WIDTH / image.shape[1]))
    way = cv2.INTER_AREA if image.shape[1] > WIDTH else cv2.INTER_LINEAR
    small = cv2.resize(image, (WIDTH, height), interpolation=way)
    return torch.from_numpy(small).permute(2, 0, 1)[None].float()


class EncoderView:
    """The layers of the encoder in a config's ``aan`` section.

    Raises:
        UserError: the config has no ``aan.encoder``, or weights are missing.
    """

    def __init__(self, config: str) -> None:
        aan = config_of(config).get('aan') or {}
        if 'encoder' not in aan:
            raise UserError(f'{config} has no aan.encoder: pass a config such as configs/_base_/aan/thin_r50.py')
        self.encoder = build_encoder(aan['encoder'])

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> dict[str, torch.Tensor]:
        return self.encoder(sized(image))


class SegmentorView:
    """The stages of a trained segmentor's backbone, and how often it predicts each class.

    Attributes:
        classes: names of the classes.
        pixels: predicted pixels per class over all images so far; :meth:`shares` resets them.
    """

    def __init__(self, config: str, checkpoint: str) -> None:
        predictor = Predictor(config, checkpoint, device='cpu')
        self.segmentor: EncoderDecoder = predictor.segmentor
        self.classes, self.pixels = predictor.classes, defaultdict(int)

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> dict[str, torch.Tensor]:
        data = self.segmentor.data_preprocessor(dict(inputs=[sized(image)[0].to(torch.uint8)]), False)
        stages = self.segmentor.backbone(data['inputs'])
        size = data['inputs'].shape[2:]
        meta = dict(ori_shape=size, img_shape=size, pad_shape=size)
        logits = self.segmentor.encode_decode(data['inputs'], [meta])
        labels = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0).long()
        for index, count in enumerate(torch.bincount(labels.flatten(), minlength=len(self.classes)).tolist()):
            self.pixels[index] += count
        return {f'stage {i}': maps for i, maps in enumerate(stages, 1)}

    def shares(self) -> np.ndarray:
        """(C,): class shares since the last call."""
        counts, self.pixels = self.pixels, defaultdict(int)
        found = np.array([counts[i] for i in range(len(self.classes))], float)
        return found / max(found.sum(), 1)
