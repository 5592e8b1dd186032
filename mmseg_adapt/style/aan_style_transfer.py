"""Source images in the target's style: a look-up in a store of renders (``tools/render_aan.py``)."""

from __future__ import annotations

import os.path as osp
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from torch.utils.data import get_worker_info

from ..errors import UserError
from ..pictures import repainted
from .job import RenderJob
from .reading import check_reading
from .store import RenderStore


@TRANSFORMS.register_module()
class AANStyleTransfer(BaseTransform):
    """Replace the image by its render, FCAN's appearance adaptation (Zhang et al., CVPR 2018, arXiv 1804.08286).

    Place it directly after the step that loads the image, so that one store serves every size and crop. In a source
    pipeline the store contains the source in the target's style. In a test pipeline, with ``prob=1``, it contains the
    target in the source's style.

    Required keys: img, img_path, ori_shape. Modified: img. If an image has more than three bands, only the first three
    are replaced. If a grey image is read as one band, that band is replaced.

    Args:
        renders: folder of the store.
        prob: share of the images that are replaced. The other images do not change and need no render. Each image first
            draws one NumPy random number, whether it is replaced or not.
        missing: what to do with an image that has no render (or that of another image): ``'error'`` stops, ``'keep'``
            keeps the original, ``'render'`` renders it now and adds it to the store (seconds to minutes per image).

    Raises:
        UserError: If the folder is not a store, or its images were read with other values or bands; if an image has no
            render; if the transform follows Resize or a crop; if an image would be rendered on a GPU in a worker of the
            data loader, or is outside the folder that the store renders.
    """

    def __init__(self, renders: str, prob: float = 1.0, missing: str = 'error') -> None:
        if missing not in ('error', 'keep', 'render'):
            raise UserError(f"AANStyleTransfer.missing = {missing!r} must be one of 'error', 'keep', 'render'")
        if not 0 <= prob <= 1:
            raise UserError(f'AANStyleTransfer.prob = {prob} must be between 0 and 1')
        self.store = RenderStore(renders)
        self.prob = prob
        self.missing = missing
        self._job: RenderJob | None = None
        self._reading: dict | None = None  # how the rendered images were read
        if not self.store.exists:
            raise UserError(f'{renders} does not contain renders. Create them with: {self.command()}')

    def transform(self, results: dict) -> dict:
        if results['img'].shape[:2] != tuple(results['ori_shape'][:2]) or 'crop_box' in results or results.get('flip'):
            raise UserError('AANStyleTransfer must directly follow the step that loads the image: move it there')
        if np.random.rand() >= self.prob:
            return results
        path = self.store.find(results['img_path'])
        if path is None and self.missing == 'keep':
            return results
        if path is None and self.missing == 'error':
            raise UserError(
                f'{results["img_path"]} has no render in {self.store.folder}. Create it with: {self.command()}'
                " (or use the store of this data set, or set AANStyleTransfer.missing = 'keep')"
            )
        path = path or self.render(Path(results['img_path']))
        self.check_reading(results)
        results['img'] = repainted(results['img'], self.store.read(path, results['img'].shape[:2]))
        return results

    def check_reading(self, results: dict) -> None:
        """Raises: UserError: the rendered images were read with another value range or other bands."""
        if self._reading is None:
            self._reading = (self.store.manifest()['settings'].get('content') or [{}])[0]
        check_reading(
            results,
            self._reading,
            f'the renders in {self.store.folder} were made',
            'set aan.content and aan.style of the rendering config to the same LoadImage, and render to another folder',
        )

    def render(self, file: Path) -> Path:
        """Render a file into the store, under the name that the tool would use."""
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        if device == 'cuda' and get_worker_info() is not None:
            raise UserError(
                "AANStyleTransfer.missing = 'render' cannot use the GPU in a worker of the data loader: set "
                f'num_workers=0, or render beforehand: {self.command()}'
            )
        manifest = self.store.manifest()
        root = manifest['made_with']['source']
        ways = (osp.abspath, osp.realpath)  # a linked folder has two names
        below = [Path(way(file)).relative_to(way(root)) for way in ways if Path(way(file)).is_relative_to(way(root))]
        if not below:
            raise UserError(
                f'{file} is not in {root}, but {self.store.folder} contains the renders of that folder: start the run '
                "where this folder is, or set AANStyleTransfer.missing = 'keep'"
            )
        name = below[0].with_suffix('').as_posix()
        if not self.store.holds(name, file):
            self._job = self._job or RenderJob.from_settings(manifest['settings'], device)
            [(image, start)] = self._job.render(self._job.load(file, 'content'), [name], self.store.style())
            self.store.add(name, image, file, start)
        return self.store.path(name)

    def command(self) -> str:
        """The command that creates the store."""
        made_with = self.store.manifest()['made_with'] if self.store.exists else {}
        config, source, target = (made_with.get(key, key.upper()) for key in ('config', 'source', 'target'))
        command = f'python tools/render_aan.py {config} --source {source} --target {target} --out {self.store.folder}'
        return f'{command} {made_with.get("options", "")}'.rstrip()
