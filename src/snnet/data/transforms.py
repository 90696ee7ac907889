"""From a PIL image to the normalized tensor that the anchors take: timm's transforms, for color and for grey."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from PIL import Image
from timm.data import create_transform
from torch import Tensor

from snnet.errors import DataError, RecipeError
from snnet.space import InputSpec

Transform: TypeAlias = Callable[[Image.Image], Tensor]


@dataclass(frozen=True)
class Augmentation:
    """How single training images are varied, in timm's words; the defaults are DeiT's (arXiv 2012.12877, table 9).

    Attributes:
        scale: Smallest and largest share of the image's area that a random crop keeps.
        ratio: Smallest and largest aspect ratio of a random crop.
        hflip: Probability of mirroring left and right.
        vflip: Probability of mirroring top and bottom.
        color_jitter: Strength of brightness, contrast and saturation changes; timm applies it only without
            `auto_augment`.
        auto_augment: A policy of timm such as `rand-m9-mstd0.5-inc1`, or None.
        interpolation: Resizing filter, `random` for bilinear or bicubic by chance; None for the anchors'.
        re_prob: Probability of erasing a random rectangle.
        re_mode: What fills it: `const`, `rand` (one color), `pixel` (noise).
        re_count: Largest number of rectangles.
    """

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    hflip: float = 0.5
    vflip: float = 0.0
    color_jitter: float | None = 0.3
    auto_augment: str | None = "rand-m9-mstd0.5-inc1"
    interpolation: str | None = None
    re_prob: float = 0.25
    re_mode: str = "pixel"
    re_count: int = 1


@dataclass(frozen=True)
class _Pipeline:
    # timm's transforms want three channels. Grey images pass as three equal ones, which every operation keeps
    # equal but for erasing with noise; the first is taken at the end.
    grey: bool
    steps: Transform

    def __call__(self, image: Image.Image) -> Tensor:
        rgb = _to_rgb(image)
        return self.steps(rgb.convert("L").convert("RGB"))[:1] if self.grey else self.steps(rgb)


def clean_transform(spec: InputSpec) -> Transform:
    """Return the evaluation transform: resize, center crop, normalize; gives `(C, H, W)`.

    Raises:
        DataError: If the input is neither grey nor RGB.
    """
    return _pipeline(spec, is_training=False, interpolation=spec.interpolation, crop_pct=spec.crop_pct)


def train_transform(spec: InputSpec, augment: Augmentation) -> Transform:
    """Return the transform of training images; gives `(C, H, W)`.

    Raises:
        DataError: If the input is neither grey nor RGB.
        RecipeError: If timm refuses a setting of `augment`.
    """
    settings = asdict(augment)
    settings["interpolation"] = augment.interpolation or spec.interpolation
    try:
        return _pipeline(spec, is_training=True, **settings)
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise RecipeError(
            f"timm refuses the augmentation {settings}: {error!r}; see timm.data.create_transform."
        ) from error


def check_channels(spec: InputSpec) -> int:
    """Return the number of channels.

    Raises:
        DataError: If it is neither 1 nor 3.
    """
    channels = spec.size[0]
    if channels not in (1, 3):
        raise DataError(f"The anchors take {channels} channels; image data sets give 1 (grey) or 3 (RGB).")
    return channels


def _pipeline(spec: InputSpec, **settings: Any) -> _Pipeline:
    grey = check_channels(spec) == 1
    copies = 3 if grey else 1
    steps = create_transform(
        input_size=(3, *spec.size[1:]), mean=tuple(spec.mean) * copies, std=tuple(spec.std) * copies, **settings
    )
    return _Pipeline(grey, steps)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow clips 16-bit grey to white where it should scale.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image if image.mode == "RGB" else image.convert("RGB")
