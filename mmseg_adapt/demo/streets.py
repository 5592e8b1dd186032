"""Two generated domains of street scenes with exact labels, for the demo and the tests.

``python -m mmseg_adapt.demo.streets data/streets`` writes

    source/{images,labels}/      clean renders: flat colours, clear light, a camera at 1.5 m
    target/train/images/         no labels: other textures, dusk or overcast light, haze, sensor noise, another camera
    target/val/{images,labels}/

A scene is a list of polygons, far to near, over an analytic ground plane. The same polygons fill the label and the
image, so labels are exact. Both domains draw layouts from the same distribution but differ in camera and look.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from ..files.whole import write_whole

CLASSES = ('road', 'sidewalk', 'building', 'pole', 'vegetation', 'sky', 'person', 'car')
ROAD, SIDEWALK, BUILDING, POLE, VEGETATION, SKY, PERSON, CAR = range(len(CLASSES))
SIZE = (96, 192)  # height, width in pixels
FAR = 80.0  # metres
Colour: TypeAlias = Sequence[float] | np.ndarray  # RGB
Points = Sequence[tuple[float, float]]
Item = tuple[float, Callable[[], None]]  # distance ahead in metres, and the function that draws it


@dataclass
class Camera:
    """A pinhole camera above the street: height in metres, pitch as the row of the horizon, yaw as the column of the
    vanishing point."""

    height: float
    horizon: float
    centre: float
    focal: float

    def project(self, x: float, y: float, z: float) -> tuple[float, float]:
        """A point x metres to the right, y above the ground, z ahead → (column, row)."""
        return self.centre + self.focal * x / z, self.horizon + self.focal * (self.height - y) / z


@dataclass
class Look:
    """How a domain's surfaces, light and sensor look; colours are RGB 0–255 per class."""

    colours: list[list[float]]
    spread: float  # standard deviation of an object's colour around its class's
    texture: float = 0.0  # amplitude of surface texture, relative
    haze: float = 0.0  # share of haze at FAR
    light: tuple[float, float] = (1.0, 1.0)  # range of exposure
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    noise: float = 0.0  # standard deviation of the sensor noise, grey levels
    blur: float = 0.0  # standard deviation of the lens blur, pixels


SOURCE = Look(
    colours=[
        [110, 110, 115],
        [185, 175, 165],
        [170, 120, 100],
        [90, 90, 95],
        [70, 150, 60],
        [140, 190, 240],
        [200, 80, 80],
        [60, 70, 170],
    ],
    spread=16,
)
TARGET = Look(
    colours=[
        [72, 72, 70],
        [112, 108, 108],
        [125, 115, 100],
        [105, 108, 110],
        [58, 80, 48],
        [215, 213, 205],
        [80, 72, 82],
        [125, 125, 128],
    ],
    spread=14,
    texture=0.12,
    haze=0.3,
    light=(0.85, 1.2),
    tint=(1.06, 1.0, 0.9),
    noise=5,
    blur=0.6,
)


@dataclass
class Canvas:
    """The image, its label and its depth, filled together."""

    size: tuple[int, int] = SIZE
    image: np.ndarray = field(init=False)
    label: np.ndarray = field(init=False)
    depth: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.image = np.zeros((*self.size, 3), np.float32)
        self.label = np.zeros(self.size, np.uint8)
        self.depth = np.full(self.size, FAR, np.float32)

    def fill(self, points: Points, label: int, colour: Colour, depth: float) -> None:
        """Cover a polygon, (column, row) points."""
        mask = np.zeros(self.size, np.uint8)
        cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
        self.paint(mask.astype(bool), label, colour, depth)

    def paint(self, mask: np.ndarray, label: int, colour: Colour, depth: float | np.ndarray) -> None:
        self.image[mask], self.label[mask], self.depth[mask] = colour, label, depth


class StreetScene:
    """One random street seen by one random camera."""

    def __init__(self, rng: np.random.Generator, look: Look, camera: Camera, size: tuple[int, int] = SIZE) -> None:
        self.rng, self.look, self.camera, self.canvas = rng, look, camera, Canvas(size)
        self.half_road = rng.uniform(3.0, 5.5)
        self.walk = rng.uniform(1.5, 3.0)

    def colour(self, label: int) -> np.ndarray:
        brightness, hue = self.rng.normal(0, self.look.spread), self.rng.normal(0, self.look.spread / 3, 3)
        return np.clip(np.array(self.look.colours[label]) + brightness + hue, 0, 255)

    def render(self) -> tuple[np.ndarray, np.ndarray]:
        """RGB uint8 (H, W, 3) and label uint8 (H, W)."""
        self.ground()
        items = [*self.facades(), *self.street_furniture()]
        for _, draw in sorted(items, key=lambda item: -item[0]):
            draw()
        return self.develop(), self.canvas.label

    def ground(self) -> None:
        canvas, camera = self.canvas, self.camera
        rows, columns = np.mgrid[: canvas.size[0], : canvas.size[1]].astype(np.float32)
        below = rows > camera.horizon
        depth = np.where(below, camera.focal * camera.height / np.maximum(rows - camera.horizon, 1e-3), FAR)
        depth = np.minimum(depth, FAR)
        across = np.abs((columns - camera.centre) * depth / camera.focal)
        canvas.paint(~below, SKY, self.colour(SKY), FAR)
        canvas.paint(below, VEGETATION, self.colour(VEGETATION), depth[below])
        walk = below & (across < self.half_road + self.walk)
        canvas.paint(walk, SIDEWALK, self.colour(SIDEWALK), depth[walk])
        road = below & (across < self.half_road)
        canvas.paint(road, ROAD, self.colour(ROAD), depth[road])

    def facades(self) -> Iterator[Item]:
        """Rows of houses on both sides, with trees in the gaps."""
        for side in (-1, 1):
            z = 3.0
            while z < FAR:
                length, x = self.rng.uniform(6, 16), side * (self.half_road + self.walk)
                if self.rng.random() < 0.7:
                    height, colour = self.rng.uniform(5, 16), self.colour(BUILDING)
                    yield z + length, lambda x=x, a=z, b=z + length, h=height, c=colour: self.house(x, a, b, h, c)
                else:
                    centre = z + length / 2
                    tree = (x * self.rng.uniform(1.0, 1.3), centre, self.rng.uniform(3, 7))
                    yield centre, lambda tree=tree: self.tree(*tree)
                z += length

    def street_furniture(self) -> Iterator[Item]:
        for side in (-1, 1):
            for z in np.arange(self.rng.uniform(5, 12), 50, self.rng.uniform(8, 14)):
                yield z, lambda x=side * (self.half_road + 0.4), z=z: self.pole(x, z)
        for _ in range(self.rng.integers(1, 5)):
            z, x = self.rng.uniform(6, 35), self.rng.choice([-1, 1]) * self.rng.uniform(0.3, 0.85) * self.half_road
            yield z, lambda x=x, z=z: self.car(x, z)
        for _ in range(self.rng.integers(2, 7)):
            z = self.rng.uniform(5, 25)
            x = self.rng.choice([-1, 1]) * (self.half_road + self.rng.uniform(-0.5, self.walk))
            yield z, lambda x=x, z=z: self.person(x, z)

    def quad(self, x0: float, x1: float, y0: float, y1: float, z: float, label: int, colour: Colour) -> None:
        """Draw a rectangle that faces the camera."""
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        self.canvas.fill([self.camera.project(x, y, z) for x, y in corners], label, colour, z)

    def house(self, x: float, near: float, far: float, height: float, colour: np.ndarray) -> None:
        corners = [(0, near), (0, far), (height, far), (height, near)]
        wall = [self.camera.project(x, y, z) for y, z in corners]
        self.canvas.fill(wall, BUILDING, colour, (near + far) / 2)
        self.quad(x, x * 3, 0, height, near, BUILDING, colour * 0.85)
        for y in np.arange(1.5, height - 1.5, 3.0):
            for z in np.arange(near + 1, far - 1.5, 2.5):
                pane = [self.camera.project(x, *p) for p in ((y, z), (y, z + 1.2), (y + 1.4, z + 1.2), (y + 1.4, z))]
                self.canvas.fill(pane, BUILDING, colour * 0.6, z)

    def tree(self, x: float, z: float, height: float) -> None:
        colour = self.colour(VEGETATION)
        self.quad(x - 0.15, x + 0.15, 0, height * 0.5, z, VEGETATION, colour * 0.6)
        for _ in range(9):
            cx, cy = x + self.rng.normal(0, height / 5), height * self.rng.uniform(0.5, 1.0)
            angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
            radius = height / 5 * self.rng.uniform(0.7, 1.3, 14)
            blob = [self.camera.project(cx + r * np.cos(a), cy + r * np.sin(a), z) for a, r in zip(angles, radius)]
            self.canvas.fill(blob, VEGETATION, colour * self.rng.uniform(0.85, 1.1), z)

    def pole(self, x: float, z: float) -> None:
        colour = self.colour(POLE)
        self.quad(x - 0.09, x + 0.09, 0, 5.5, z, POLE, colour)
        self.quad(min(x, x * 0.8), max(x, x * 0.8), 5.2, 5.5, z, POLE, colour)

    def car(self, x: float, z: float) -> None:
        colour = np.clip(self.colour(CAR) + self.rng.normal(0, 25, 3), 0, 255)
        self.quad(x - 0.95, x + 0.95, 0.25, 0.95, z, CAR, colour)
        self.quad(x - 0.75, x + 0.75, 0.95, 1.5, z, CAR, colour * 0.55)
        for wheel in (-0.8, 0.8):
            self.quad(x + wheel - 0.15, x + wheel + 0.15, 0, 0.45, z, CAR, [25, 25, 25])

    def person(self, x: float, z: float) -> None:
        clothes, height = np.clip(self.colour(PERSON) + self.rng.normal(0, 30, 3), 0, 255), self.rng.uniform(1.5, 1.9)
        self.quad(x - 0.2, x + 0.2, 0, height * 0.5, z, PERSON, clothes * 0.6)
        self.quad(x - 0.27, x + 0.27, height * 0.45, height * 0.85, z, PERSON, clothes)
        self.quad(x - 0.12, x + 0.12, height * 0.83, height, z, PERSON, [200, 160, 130])

    def develop(self) -> np.ndarray:
        """From surface colours to what the camera records: texture, haze, light, lens, sensor."""
        look, canvas, rng = self.look, self.canvas, self.rng
        image = canvas.image
        if look.texture:
            image = image * (1 + look.texture * self.surface_texture()[..., None])
        haze = look.haze * (canvas.depth / FAR)[..., None]
        image = image * (1 - haze) + np.array([205, 205, 205]) * haze
        image = image * rng.uniform(*look.light) * look.tint
        if look.blur:
            image = cv2.GaussianBlur(image, (0, 0), look.blur)
        image = image + rng.normal(0, look.noise, image.shape)
        return np.clip(image, 0, 255).astype(np.uint8)

    def surface_texture(self) -> np.ndarray:
        """Unit noise of two grain sizes, finer on some classes than on others; none in the sky."""
        height, width = self.canvas.size
        fine = self.rng.normal(size=(height, width))
        coarse = cv2.resize(
            self.rng.normal(size=(height // 6, width // 6)), (width, height), interpolation=cv2.INTER_CUBIC
        )
        share = np.array([0.5, 0.8, 0.2, 0.0, 0.9, 0.0, 0.3, 0.1])[self.canvas.label]
        noise = share * fine + (1 - share) * coarse
        noise[self.canvas.label == SKY] = 0
        return noise


def source_camera(rng: np.random.Generator) -> Camera:
    height, width = SIZE
    return Camera(1.5, height * rng.uniform(0.42, 0.48), width * rng.uniform(0.45, 0.55), width * 0.55)


def target_camera(rng: np.random.Generator) -> Camera:
    height, width = SIZE
    return Camera(rng.uniform(1.9, 2.2), height * rng.uniform(0.34, 0.42), width * rng.uniform(0.4, 0.6), width * 0.62)


def render(domain: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scene number ``seed`` of ``'source'`` or ``'target'``: RGB (H, W, 3) and label (H, W), uint8."""
    rng = np.random.default_rng((seed, domain == 'target'))
    look, camera = (SOURCE, source_camera) if domain == 'source' else (TARGET, target_camera)
    return StreetScene(rng, look, camera(rng)).render()


def write(root: str | Path, source: int = 240, target: int = 240, val: int = 60) -> Path:
    """Write the data set in ``root``. Existing files are kept."""
    root = Path(root)
    plan = [('source', 'source', range(source), True)]
    plan += [('target/train', 'target', range(target), False)]
    plan += [('target/val', 'target', range(10**6, 10**6 + val), True)]
    for folder, domain, seeds, labelled in plan:
        for kind in ('images', 'labels') if labelled else ('images',):
            (root / folder / kind).mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            name = f'{seed % 10**6:05d}.png'
            if (root / folder / 'images' / name).exists():
                continue
            image, label = render(domain, seed)
            for kind, array in [('labels', label)] * labelled + [('images', image[..., ::-1])]:
                write_whole(root / folder / kind, name, cv2.imencode('.png', array)[1].tobytes())
    return root


if __name__ == '__main__':
    print(write(sys.argv[1] if len(sys.argv) > 1 else 'data/streets'))
