"""SVG figures and pictures embedded in a page. Figures are narrow, so that several fit side by side."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

Points = Sequence[tuple[float, float]]


def curves(
    title: str, series: Mapping[str, Points], mark: tuple[float, str] | None = None, x: str = 'iteration'
) -> str:
    """Lines of (x, y) by name; ``mark`` is a value of x and its label."""
    figure, axis = _figure(title)
    for name, points in series.items():
        axis.plot(*zip(*points), marker='o' if len(points) < 15 else None, markersize=3, label=name)
    if mark:
        axis.axvline(mark[0], color='k', linestyle=':', label=mark[1])
    axis.set_xlabel(x)
    if series or mark:
        axis.legend(fontsize=7)
    return _svg(figure)


def histograms(title: str, series: Mapping[str, Sequence[float]]) -> str:
    """Histograms of one number, as shares of the images."""
    figure, axis = _figure(title)
    values = np.concatenate([np.asarray(v, float) for v in series.values()])
    low, high = values.min(), values.max()
    for name, own in series.items():
        weights = np.full(len(own), 100 / len(own))
        edges = np.linspace(low, high if high > low else low + 1, 21)
        axis.hist(own, edges, weights=weights, alpha=0.6, label=name)
    axis.set_ylabel('% of the images')
    axis.legend(fontsize=7)
    return _svg(figure)


def bars(title: str, names: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """Horizontal bars in percent, one group per name."""
    figure, axis = _figure(title, height=max(2.4, 0.3 * len(names) + 0.8))
    thickness = 0.8 / len(series)
    for number, (label, values) in enumerate(series.items()):
        axis.barh(np.arange(len(names)) + number * thickness, 100 * np.asarray(values), thickness, label=label)
    axis.set_yticks(np.arange(len(names)) + 0.4 - thickness / 2, names, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel('% of the pixels')
    axis.legend(fontsize=7)
    return _svg(figure)


def _figure(title: str, height: float = 2.7):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, height), layout='constrained')
    axis = figure.add_subplot()
    axis.set_title(title, fontsize=9)
    axis.tick_params(labelsize=8)
    return figure, axis


def _svg(figure) -> str:
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({'svg.fonttype': 'path'}):
        figure.savefig(buffer, format='svg', metadata=dict(Date=None))
    text = buffer.getvalue()
    return re.sub(r'(<svg [^>]*?)width="[^"]*" height="[^"]*"', r'\1', text[text.index('<svg') :], count=1)


def picture(image: np.ndarray, alt: str, width: int = 320) -> str:
    """An image (H, W, 3) uint8 RGB as a JPEG in the page, at most ``width`` pixels wide."""
    if image.shape[1] > width:
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode('.jpg', np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return f'<img alt="{alt}" src="data:image/jpeg;base64,{base64.b64encode(data).decode()}">'


def heat(values: np.ndarray) -> np.ndarray:
    """(H, W) in 0 … 1 → (H, W, 3) uint8 RGB, dark to bright."""
    grey = np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)
    return cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO)[..., ::-1]
