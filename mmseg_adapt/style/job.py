"""From the section ``aan`` of a config to renders: files in, images out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from .encoder import build_encoder
from .gram import Style, style_of
from .objective import Objective
from .reading import loaded, loader, named
from .render import AppearanceAdapter


class RenderJob:
    """The encoder, objective, recipe and the two image readers from the ``aan`` section of a config.

    Args:
        encoder: config of a :class:`~mmseg_adapt.style.encoder.StyleEncoder`.
        objective: arguments of :class:`~mmseg_adapt.style.objective.Objective`.
        fast: the recipe: False is the paper's, True and ``'quick'`` are ours.
        recipe: fields of :class:`~mmseg_adapt.style.recipe.Recipe` to change in it.
        content: transforms that read an image to render. They may resize it but not crop it: its labels do not change.
        style: transforms that read an image of the pool.
        device: the device to compute on.

    Raises:
        UserError: If a setting is unknown or invalid.
    """

    def __init__(
        self,
        encoder: dict,
        objective: dict | None = None,
        fast: bool | str = True,
        recipe: dict | None = None,
        content: Sequence[dict] = (dict(type='LoadImage'),),
        style: Sequence[dict] = (dict(type='LoadImage'),),
        device: str | torch.device = 'cpu',
    ) -> None:
        for step in content:
            if any(word in step['type'] for word in ('Crop', 'Flip', 'Rotate')):
                raise UserError(
                    f'aan.content has {step["type"]}, but renders replace whole images and keep their labels: move '
                    'it to the pipeline of the data set'
                )
        with named('aan.objective'):
            self.objective = Objective(**objective or {})
        with named('aan.encoder'):
            self.encoder = build_encoder(encoder).to(device)
            if torch.device(device).type == 'cuda':
                self.encoder.to(memory_format=torch.channels_last)
        self.pipelines = {
            role: loader(steps, f'aan.{role}') for role, steps in dict(content=content, style=style).items()
        }
        for key in ('content_weights', 'style_weights'):
            if unknown := set(getattr(self.objective, key) or ()) - set(self.encoder.layers):
                raise UserError(
                    f'aan.objective.{key} has {min(unknown)}: use aan.encoder.layers, {", ".join(self.encoder.layers)}'
                )
        self.adapter = AppearanceAdapter(self.encoder, self.objective, fast=fast, **recipe or {})
        self.device = device
        self.config = dict(encoder=dict(encoder), content=list(content), style=list(style))

    @classmethod
    def from_config(cls, aan: dict | None, device: str | torch.device) -> RenderJob:
        """Raises: UserError: the section is missing or has an unknown key."""
        if aan is None:
            raise UserError('the config has no aan section: add configs/_base_/aan/… to its _base_')
        try:
            return cls(**aan, device=device)
        except TypeError as error:
            raise UserError(f'aan: {error}') from None

    @classmethod
    def from_settings(cls, settings: dict, device: str | torch.device) -> RenderJob:
        """The job that made a store, from its ``aan.json``."""
        keys = ('encoder', 'objective', 'recipe', 'content', 'style')
        job = cls(**{key: settings[key] for key in keys}, fast=False, device=device)
        if job.encoder.fingerprint() != settings['encoder_fingerprint']:
            raise UserError(f'{settings["encoder"].get("init_cfg")} has other weights than the store: restore the file')
        return job

    def settings(self, targets: list[Path]) -> dict:
        """Everything that determines what a render looks like."""
        return dict(
            self.config,
            objective={k: v for k, v in asdict(self.objective).items() if k != 'smoothness' or v},  # as older stores
            recipe=asdict(self.adapter.recipe),
            encoder_fingerprint=self.encoder.fingerprint(),
            target_images=len(targets),
            target_fingerprint=fingerprint_of(targets),
        )

    def load(self, file: Path, role: str) -> Tensor:
        """Read a file as ``'content'`` or ``'style'``: BGR 0–255 (1, 3, H, W), the first three bands."""
        return loaded(self.pipelines[role], file)[0].to(self.device)

    def style_of(self, files: list[Path], progress: Callable = iter) -> Style:
        """The style of a pool of files."""
        style = style_of(self.encoder, (self.load(file, 'style') for file in progress(files)))
        size = list(self.load(files[0], 'style').shape[2:])
        about = dict(encoder=self.encoder.fingerprint(), layers=list(self.encoder.layers), first_size=size)
        style.about.update(about, files=fingerprint_of(files))
        return style

    def render(self, images: Tensor, names: Sequence[str], style: Style) -> list[tuple[np.ndarray, str]]:
        """Render images (N, 3, H, W) BGR 0–255 at once: for each, BGR (H, W, 3) uint8 and the start used.

        The noise of an image depends only on its name.
        """
        seeds = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], 'big') for name in names]
        rendered = self.adapter.render(images, style, seeds)
        pixels = rendered.images.round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return list(zip(pixels, rendered.starts))


def fingerprint_of(files: list[Path]) -> str:
    """Fingerprint of the names and sizes of files, so that a large pool need not be read again."""
    text = '\n'.join(f'{file.name} {file.stat().st_size}' for file in files)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
