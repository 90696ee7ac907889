"""From a PIL image to the normalized tensor that the anchors take: clean, or varied by timm's transforms."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeAlias

import torch
from PIL import Image
from timm.data import create_transform
from torch import Tensor

from snnet.data.pictures import Picture, check_channels, normalized_pixels, open_picture, to_rgb
from snnet.errors import RecipeError
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


def clean_transform(spec: InputSpec) -> "CleanTransform":
    """Return the transform of evaluation and prediction; gives `(C, H, W)`.

    Pictures are turned upright as their EXIF data say, laid on white where they are transparent, resized,
    center-cropped and normalized, and are grey where the network is.

    Raises:
        DataError: If the input is neither grey nor RGB; when called with a path, if there is no image there.
    """
    check_channels(spec)
    return CleanTransform(spec)


@dataclass(frozen=True)
class CleanTransform:
    """See `clean_transform`; takes a picture or the path of one."""

    input: InputSpec

    def __call__(self, picture: Picture) -> Tensor:
        """Return the normalized tensor `(C, H, W)` of a picture."""
        return torch.from_numpy(normalized_pixels(open_picture(picture), self.input))


@dataclass(frozen=True)
class _TrainTransform:
    # timm's transforms want three channels. Grey images pass as three equal ones, which every operation keeps
    # equal but for erasing with noise; the first is taken at the end.
    grey: bool
    steps: Transform

    def __call__(self, image: Image.Image) -> Tensor:
        rgb = to_rgb(image)
        return self.steps(rgb.convert("L").convert("RGB"))[:1] if self.grey else self.steps(rgb)


def train_transform(spec: InputSpec, augment: Augmentation) -> Transform:
    """Return the transform of training images; gives `(C, H, W)`.

    Raises:
        DataError: If the input is neither grey nor RGB.
        RecipeError: If timm refuses a setting of `augment`.
    """
    grey = check_channels(spec) == 1
    copies = 3 if grey else 1
    settings = asdict(augment)
    settings["interpolation"] = augment.interpolation or spec.interpolation
    mean, std = tuple(spec.mean) * copies, tuple(spec.std) * copies
    try:
        steps = create_transform((3, *spec.size[1:]), is_training=True, mean=mean, std=std, **settings)
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise RecipeError(
            f"timm refuses the augmentation {settings}: {error!r}; see timm.data.create_transform."
        ) from error
    return _TrainTransform(grey, steps)
