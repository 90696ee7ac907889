"""One scene: garments of several sizes before each other over textured ground, with its exact masks and depth."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST = 5
"""Garments of a scene at most; at least there are two."""
SIZES = (0.6, 1.4)
"""Longer sides of garments, in halves of the shorter side of a scene."""
# What is darker than this is background of the garment's own picture, unless the garment encloses it.
_DARK = 16
# Of how many places drawn for a garment the one farthest from the others is taken.
_TRIES = 3

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Garments:
    """Pictures of garments and their silhouettes.

    Attributes:
        pixels: Grey on black, `(N, H, W)`.
        labels: Class of each, `(N,)`.
    """

    pixels: Bytes
    labels: NDArray[np.int64]

    @cached_property
    def silhouettes(self) -> NDArray[np.bool_]:
        """What is garment in each picture, `(N, H, W)`: all that is not dark, holes closed."""
        return filled(self.pixels > _DARK)

    def cut_out(self, number: int) -> tuple[Bytes, Bytes]:
        """Return the pixels of a garment and its silhouette, 0 or 255, within its bounding box."""
        silhouette = self.silhouettes[number]
        rows, columns = silhouette.any(1).nonzero()[0], silhouette.any(0).nonzero()[0]
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        shown = silhouette[box]
        return self.pixels[number][box] * shown, shown.astype(np.uint8) * np.uint8(255)


def filled(shapes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return shapes `(N, H, W)` with their holes closed: what no way up, down, left and right joins to the border."""
    # The shapes last, where they lie together.
    free = np.pad(~shapes.transpose(1, 2, 0), ((1, 1), (1, 1), (0, 0)), constant_values=True)
    outside = np.zeros_like(free)
    outside[0] = True
    before = 0
    while (reached := int(outside.sum())) > before:
        before = reached
        for lines, ways in ((outside, free), (outside.swapaxes(0, 1), free.swapaxes(0, 1))):
            for place in range(1, len(lines)):
                lines[place] |= lines[place - 1] & ways[place]
            for place in range(len(lines) - 2, -1, -1):
                lines[place] |= lines[place + 1] & ways[place]
    return ~outside[1:-1, 1:-1].transpose(2, 0, 1).copy()


@dataclass(frozen=True)
class Instances:
    """The garments of a scene that are seen, from the farthest to the nearest, as detection wants them.

    Attributes:
        boxes: Of the visible part: left, top, width and height in pixels, as COCO has them, `(K, 4)`.
        labels: Class of each, from 1, `(K,)`.
        masks: Where each is seen, `(K, H, W)`.
    """

    boxes: Floats
    labels: NDArray[np.int64]
    masks: NDArray[np.bool_]


@dataclass(frozen=True)
class Scene:
    """A picture of garments, and what stands where. Garments are numbered from 1, from the farthest to the nearest.

    Attributes:
        pixels: Grey, `(H, W)`.
        numbers: Of the garment that is seen at each position, `(H, W)`; 0 for the ground.
        labels: Class of the ground (0) and of each garment, by its number; 0 for further numbers.
        depths: How far each garment is, by its number; how far the ground is `depth_of` tells.
    """

    pixels: Bytes
    numbers: Bytes
    labels: Bytes
    depths: Floats

    @property
    def mask(self) -> Bytes:
        """Class at each position, `(H, W)`."""
        mask: Bytes = self.labels[self.numbers]
        return mask

    @property
    def depth(self) -> Floats:
        """How far what is seen is at each position, `(H, W)`."""
        depth: Floats = depth_of(self.numbers[None], self.depths[None])[0]
        return depth

    @property
    def instances(self) -> Instances:
        """The garments that are seen, each with its box and mask."""
        seen = np.unique(self.numbers[self.numbers > 0])
        masks = self.numbers == seen[:, None, None]
        boxes = np.zeros((len(seen), 4), np.float32)
        for box, mask in zip(boxes, masks, strict=True):
            rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
            box[:] = columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
        return Instances(boxes, self.labels[seen].astype(np.int64), masks)


def depth_of(numbers: Bytes, depths: Floats) -> Floats:
    """Return how far what is seen in scenes is, `(N, H, W)`: the ground from 3 at the top to 2 at the bottom.

    Args:
        numbers: Of the garments that are seen, `(N, H, W)`; 0 for the ground.
        depths: Of the garments of each scene, by their numbers, `(N, K)`.
    """
    ground = np.linspace(3, 2, numbers.shape[1], dtype=np.float32)[:, None]
    garments = np.take_along_axis(depths, numbers.reshape(len(numbers), -1).astype(np.intp), 1)
    depth: Floats = np.where(numbers == 0, ground, garments.reshape(numbers.shape))
    return depth


def compose(garments: Garments, size: tuple[int, int], rng: np.random.Generator) -> Scene:
    """Return a scene of 2 to 5 garments; nearer ones are larger, and cover those behind them.

    A garment of size s, see `SIZES`, is at distance 1 / s, as a camera sees it; the ground is farther than all.

    Args:
        garments: What is drawn from.
        size: Height and width of the scene.
        rng: Decides everything.
    """
    canvas, numbers = _ground(size, rng), np.zeros(size, np.uint8)
    labels, depths = np.zeros(MOST + 1, np.uint8), np.zeros(MOST + 1, np.float32)
    sizes = np.sort(rng.uniform(*SIZES, rng.integers(2, MOST + 1)))
    drawn = rng.integers(len(garments.labels), size=len(sizes))
    centers: list[NDArray[np.float64]] = []
    for number, (relative, garment) in enumerate(zip(sizes, drawn, strict=True), 1):
        labels[number], depths[number] = garments.labels[garment] + 1, 1 / relative
        colors, shown = _scaled(*garments.cut_out(garment), relative * min(size) / 2, mirrored=rng.random() < 0.5)
        centers.append(_apart(rng.uniform(0.15, 0.85, (_TRIES, 2)), centers))
        corner = np.rint(centers[-1] * size - np.array(shown.shape) / 2).astype(int)
        here, part = zip(*map(_overlap, corner, shown.shape, size), strict=True)
        darkest, gain = rng.uniform(0, 50), rng.uniform(0.6, 1.1)
        canvas[here] += shown[part] * (darkest - canvas[here]) + gain * colors[part]
        numbers[here][shown[part] >= 0.5] = number
    return Scene(np.clip(np.rint(canvas), 0, 255).astype(np.uint8), numbers, labels, depths)


def _ground(size: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Return ground of any brightness, with a texture of any coarseness and contrast, half of them with stripes."""
    height, width = size
    brightness, contrast, coarse = rng.uniform(30, 190), rng.uniform(10, 60), rng.random()
    ground = np.full(size, brightness, np.float32)
    finest = max(6, min(size) // 3)
    for cells, strength in ((rng.integers(2, 5), coarse), (rng.integers(5, finest), 1 - coarse)):
        grid = Image.fromarray(rng.uniform(-1, 1, (cells, cells)).astype(np.float32))
        ground += contrast * strength * np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))
    if rng.random() < 0.5:
        angle, periods, phase = rng.uniform(0, np.pi), rng.uniform(3, 12), rng.uniform(0, 2 * np.pi)
        down = np.linspace(0, np.sin(angle), height, dtype=np.float32)[:, None]
        across = np.linspace(0, np.cos(angle), width, dtype=np.float32)
        ground += contrast / 2 * np.sin(2 * np.pi * periods * (down + across) + phase, dtype=np.float32)
    ground += rng.uniform(0, 8) * rng.standard_normal(size, np.float32)
    return ground


def _scaled(colors: Bytes, shown: Bytes, longer: float, *, mirrored: bool) -> tuple[Floats, Floats]:
    """Return pixels and silhouette (0 to 1) of a garment whose longer side has so many pixels."""
    height, width = (max(1, round(side * longer / max(shown.shape))) for side in shown.shape)
    parts = (Image.fromarray(part).resize((width, height), Image.Resampling.BILINEAR) for part in (colors, shown))
    pixels, silhouette = (np.asarray(part, np.float32)[:, :: -1 if mirrored else 1] for part in parts)
    return pixels, silhouette / np.float32(255)


def _apart(places: NDArray[np.float64], others: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the place that is farthest from others."""
    distances = [np.linalg.norm(places - other, axis=1) for other in others]
    farthest = int(np.min(distances, axis=0).argmax()) if distances else 0
    place: NDArray[np.float64] = places[farthest]
    return place


def _overlap(start: int, extent: int, side: int) -> tuple[slice, slice]:
    """Return which positions of a side are covered from `start` on, and which of what covers them they are."""
    first, last = max(start, 0), min(start + extent, side)
    return slice(first, last), slice(first - start, last - start)
