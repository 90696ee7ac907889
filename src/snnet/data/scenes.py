"""Scenes of the embedded garments, each with its exact mask, depth and instances: `scenes`, or `scenes/COUNT`."""

from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from snnet.data.composing import Bytes, Floats, Garments, Scene, compose, depth_of
from snnet.data.embedded import garments
from snnet.data.seeding import derive
from snnet.data.sources import SOURCES, ArraySource, ImageSource, Request
from snnet.data.targets import TargetKind
from snnet.errors import DataError

SIZE = (56, 56)
TRAINING, VALIDATION_SHARE = 4000, 4
"""Training scenes, and how many of them there are for one of validation, unless said otherwise."""


class SceneSource(ImageSource):
    """Scenes that are functions of seed and place; nothing is stored.

    In training scenes stand training garments alone, in those of validation validation garments.

    Args:
        split: `train` or `validation`.
        size: Height and width.
        target: `mask` (0 is the ground, garments are 1 to 10) or `depth` (larger is farther, all of it known).
        count: How many scenes; 4,000 of training and 1,000 of validation by default.
        seed: Of all scenes.
    """

    def __init__(
        self,
        split: str = "train",
        size: tuple[int, int] = SIZE,
        target: TargetKind = "mask",
        count: int | None = None,
        seed: int = 0,
    ) -> None:
        usual = TRAINING if split == "train" else TRAINING // VALIDATION_SHARE
        self.split, self.size, self.target, self.seed = split, size, target, seed
        self.count = usual if count is None else count
        self.classes = ("ground", *garments(split)[2]) if target == "mask" else ()

    def __len__(self) -> int:
        return self.count

    def scene(self, index: int) -> Scene:
        """Return a scene: its pixels, what is seen where, and its `instances` with boxes and masks."""
        return compose(_cut_from(self.split), self.size, np.random.default_rng(derive(self.seed, self.split, index)))

    def read(self, index: int) -> tuple[Image.Image, Tensor]:
        """Return a scene and its mask or depth map."""
        scene = self.scene(index)
        target = torch.from_numpy(scene.depth if self.target == "depth" else scene.mask.astype(np.int64))
        return Image.fromarray(scene.pixels), target

    def in_memory(self, size: tuple[int, int]) -> ArraySource | None:
        """Return all scenes as arrays, composed once in a process, if they have this height and width."""
        if size != self.size:
            return None
        pixels, numbers, labels, depths = _composed(self.split, self.size, self.count, self.seed)
        found = depth_of(numbers, depths) if self.target == "depth" else _classes(numbers, labels)
        return ArraySource(torch.from_numpy(pixels), torch.from_numpy(found), self.classes)


@SOURCES.register("scenes")
def open_scenes(request: Request) -> SceneSource:
    """Open `scenes`, or `scenes/COUNT`: so many training scenes, and a quarter as many for validation.

    Raises:
        DataError: If a root or something else than a number is given, or labels are asked for.
    """
    number = request.name or str(TRAINING)
    if not (number.isdecimal() and int(number) >= VALIDATION_SHARE):
        raise DataError(
            f"Unknown data set 'scenes/{number}'; give 'scenes/COUNT' with the number of training scenes, "
            f"{VALIDATION_SHARE} or more, or just 'scenes'."
        )
    if request.root is not None:
        raise DataError(
            f"Scenes are made of garments in the package and take no root, got {request.root}; leave it out."
        )
    request.check_target("scenes", "mask", "depth")
    count = int(number) if request.split == "train" else int(number) // VALIDATION_SHARE
    return SceneSource(request.split, request.size or SIZE, request.target.kind, count)


class _Scenes(NamedTuple):
    # What `Scene` has, of all scenes.
    pixels: Bytes
    numbers: Bytes
    labels: Bytes
    depths: Floats


@lru_cache(maxsize=2)
def _composed(split: str, size: tuple[int, int], count: int, seed: int) -> _Scenes:
    source = SceneSource(split, size, count=count, seed=seed)
    scenes = (source.scene(index) for index in range(count))
    parts = zip(*((scene.pixels, scene.numbers, scene.labels, scene.depths) for scene in scenes), strict=True)
    return _Scenes(*map(np.stack, parts))


def _classes(numbers: Bytes, labels: Bytes) -> Bytes:
    found: Bytes = np.take_along_axis(labels, numbers.reshape(len(numbers), -1).astype(np.intp), 1)
    return found.reshape(numbers.shape)


@cache
def _cut_from(split: str) -> Garments:
    pixels, labels, _ = garments(split)
    return Garments(pixels.numpy(), np.array(labels))
