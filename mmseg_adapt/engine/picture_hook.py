"""Pictures of predictions."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ..errors import UserError
from ..files.listing import name_below
from ..pictures import colour_map, printable


@HOOKS.register_module()
class PictureHook(Hook):
    """Write one PNG per tested image: the network's input, its prediction and, if there is one, the ground truth.

    Unlike ``SegVisualizationHook``, it draws every image of every batch as the pipeline made it (for example, cropped)
    and keeps the image's path within the data set's folder.

    Args:
        out_dir: folder for the pictures; created if it is missing.
    """

    def __init__(self, out_dir: str) -> None:
        self.out_dir = Path(out_dir)

    def before_test(self, runner: Runner) -> None:
        self.out_dir.mkdir(parents=True, exist_ok=True)
        runner.logger.info(f'pictures: {self.out_dir}')

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs=None) -> None:
        dataset = runner.test_dataloader.dataset
        palette, folder = dataset.metainfo['palette'], (getattr(dataset, 'data_prefix', None) or {}).get('img_path')
        bgr_to_rgb = slice(None, None, -1)
        images = data_batch['inputs']
        if isinstance(images[0], (list, tuple)):  # test-time augmentation: a list of images per augmentation
            images = images[0]
        for image, sample in zip(images, outputs):
            prediction = sample.pred_sem_seg.data[0].cpu().numpy()
            image = printable(image.permute(1, 2, 0).cpu().numpy())
            image = cv2.resize(image, prediction.shape[::-1])[..., bgr_to_rgb]
            row = [image, colour_map(prediction, palette)]
            if 'gt_sem_seg' in sample:
                row.append(colour_map(sample.gt_sem_seg.data[0].cpu().numpy(), palette))
            path = self.out_dir / f'{name_below(sample.img_path, folder)}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            if not cv2.imwrite(str(path), np.hstack(row)[..., bgr_to_rgb]):
                raise UserError(f'{path} cannot be written: free some space, or choose another --show-dir')
