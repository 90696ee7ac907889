"""From a PIL image to the normalized tensor that the anchors take, clean or varied; and varied batches of tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from PIL import Image
from pydantic import Field
from timm.data import create_transform
from torch import Tensor

from snnet.data.pictures import Picture, check_channels, normalized_pixels, open_picture
from snnet.data.pixel_modes import to_rgb
from snnet.data.targets import unseen
from snnet.errors import RecipeError
from snnet.space import InputSpec
from snnet.utils import WHOLE, Settings, Share

Transform: TypeAlias = Callable[[Image.Image], Tensor]
Batch: TypeAlias = tuple[Tensor, Tensor]
"""Images `(B, C, H, W)`, and labels `(B,)` or masks or depth maps `(B, H, W)`."""


class Augmentation(Settings):
    """timm's augmentation of single images; the defaults are DeiT's (arXiv 2012.12877, table 9)."""

    scale: tuple[float, float] = Field((0.08, 1.0), description="share of the area that a random crop keeps")
    ratio: tuple[float, float] = Field((3 / 4, 4 / 3), description="aspect ratio of a random crop")
    hflip: float = Field(0.5, ge=0, le=1, description="probability of mirroring")
    vflip: float = Field(0.0, ge=0, le=1, description="probability of turning upside down")
    color_jitter: float | None = Field(0.3, ge=0, description="strength; used without auto_augment only")
    auto_augment: str | None = Field("rand-m9-mstd0.5-inc1", description="a policy of timm, or null")
    interpolation: str | None = Field(None, description="bilinear, bicubic or random; the anchors' by default")
    re_prob: float = Field(0.25, ge=0, le=1, description="probability of erasing a rectangle")
    re_mode: Literal["const", "rand", "pixel"] = Field("pixel", description="what fills it")
    re_count: int = Field(1, ge=1, description="largest number of rectangles")


@dataclass(frozen=True)
class CleanTransform:
    """The transform of evaluation and prediction.

    Pictures are turned upright as their EXIF data say, laid on white where they are transparent, resized,
    center-cropped and normalized, and are grey where the network is.

    Attributes:
        input: What the network takes.
        upright: Turn pictures as their EXIF data say; timm does not.
        whole: Resize height and width apart and crop nothing, for answers at each pixel.

    Raises:
        DataError: If the input is neither grey nor RGB.
    """

    input: InputSpec
    upright: bool = True
    whole: bool = False

    def __post_init__(self) -> None:
        check_channels(self.input)

    def __call__(self, picture: Picture) -> Tensor:
        """Return the normalized tensor `(C, H, W)` of a picture or of the file with this path.

        Raises:
            DataError: If there is no image there.
        """
        opened = open_picture(picture)
        return torch.from_numpy(normalized_pixels(opened, self.input, upright=self.upright, whole=self.whole))


@dataclass(frozen=True)
class _TrainTransform:
    # timm's transforms want three channels. Grey images pass as three equal ones, which every operation keeps
    # equal but for erasing with noise; the first is taken at the end.
    grey: bool
    upright: bool
    steps: Transform

    def __call__(self, image: Image.Image) -> Tensor:
        rgb = to_rgb(image, upright=self.upright)
        return self.steps(rgb.convert("L").convert("RGB"))[:1] if self.grey else self.steps(rgb)


def train_transform(spec: InputSpec, augment: Augmentation, *, upright: bool = True) -> Transform:
    """Return the transform of training images; gives `(C, H, W)`.

    Args:
        spec: What the network takes.
        augment: How images are varied.
        upright: Turn them first as their EXIF data say.

    Raises:
        DataError: If the input is neither grey nor RGB.
        RecipeError: If timm refuses a setting of `augment`.
    """
    grey = check_channels(spec) == 1
    copies = 3 if grey else 1
    settings = augment.model_dump()
    settings["interpolation"] = augment.interpolation or spec.interpolation
    mean, std = tuple(spec.mean) * copies, tuple(spec.std) * copies
    try:
        steps = create_transform((3, *spec.size[1:]), is_training=True, mean=mean, std=std, **settings)
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise RecipeError(
            f"timm refuses the augmentation {settings}: {error!r}; see timm.data.create_transform."
        ) from error
    return _TrainTransform(grey, upright, steps)


class BatchAugment(Settings):
    """Random shift and mirroring of whole batches, drawn per image: fast for small images.

    One gather over a padded batch is about a hundred times faster than per-image PIL transforms at 28x28.
    """

    pad: int = Field(2, ge=0, description="largest shift in pixels")
    flip: bool = Field(True, description="mirror each image with probability one half")
    fill: float | None = Field(None, description="value of uncovered pixels; black in grey images, the mean in color")

    def of(self, spec: InputSpec) -> "BatchAugment":
        """Return these settings with the value of uncovered pixels, in the units of the input."""
        if self.fill is not None or spec.size[0] != 1:
            return self
        return self.model_copy(update={"fill": -spec.mean[0] / spec.std[0]})

    def __call__(
        self,
        images: Tensor,
        generator: torch.Generator | None = None,
        *,
        total: int | None = None,
        share: Share = WHOLE,
    ) -> Tensor:
        """Augment images; all randomness comes from `generator` (global RNG if None). Without `fill`, it is 0.

        Args:
            images: `(B, C, H, W)`, a whole batch, or one process's share of a batch.
            generator: Decides how every image of the whole batch is varied.
            total: Images of the whole batch, where these are a share of it.
            share: Which share.
        """
        return self._moved(images, self.fill or 0.0, *self._places(images, generator, total, share))

    def with_targets(
        self,
        images: Tensor,
        targets: Tensor,
        generator: torch.Generator | None = None,
        *,
        total: int | None = None,
        share: Share = WHOLE,
    ) -> Batch:
        """Augment images as a call does, and move their masks or depth maps `(B, H, W)` alike.

        Uncovered pixels have the ignored class, or no known depth. Labels `(B,)` stay as they are.
        """
        places = self._places(images, generator, total, share)
        if targets.ndim == 3:
            targets = self._moved(targets[:, None], unseen(targets), *places)[:, 0]
        return self._moved(images, self.fill or 0.0, *places), targets

    def _places(
        self, images: Tensor, generator: torch.Generator | None, total: int | None, share: Share
    ) -> tuple[Tensor, Tensor]:
        """Return which rows and columns of each padded image are kept, `(B, H)` and `(B, W)`."""
        batch, _, height, width = images.shape
        total = batch if total is None else total
        own = share.of(total)
        span = 2 * self.pad + 1
        top = torch.randint(span, (total,), generator=generator)[own]
        left = torch.randint(span, (total,), generator=generator)[own]
        rows = top[:, None] + torch.arange(height)
        cols = left[:, None] + torch.arange(width)
        if self.flip:
            mirrored = torch.rand(total, generator=generator)[own] < 0.5
            cols = torch.where(mirrored[:, None], cols.flip(1), cols)
        return rows, cols

    def _moved(self, maps: Tensor, fill: float, rows: Tensor, cols: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(maps, (self.pad,) * 4, value=fill)
        index = torch.arange(len(maps))[:, None, None]
        return padded.permute(0, 2, 3, 1)[index, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)
