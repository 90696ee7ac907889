"""From a picture and its dense target to tensors of the network's size, both moved alike, clean or varied."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from PIL import Image
from pydantic import Field, field_validator
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from snnet.data.corrupt import CorruptImageError
from snnet.data.pictures import check_channels, normalized_pixels, placed
from snnet.data.pixel_modes import to_rgb
from snnet.data.targets import TargetKind, unseen
from snnet.data.transforms import Augmentation, CleanTransform, Transform, train_transform
from snnet.errors import RecipeError
from snnet.space import InputSpec
from snnet.utils import Settings

PairTransform: TypeAlias = Callable[[Image.Image, Tensor], tuple[Tensor, Tensor]]


class DenseAugmentation(Settings):
    """Augmentation of single images together with their masks or depth maps; colors vary in the image alone."""

    scale: tuple[float, float] = Field((0.5, 2.0), description="size before the crop; at 1 the image just covers it")
    hflip: float = Field(0.5, ge=0, le=1, description="probability of mirroring")
    color_jitter: float = Field(0.3, ge=0, description="strength, of brightness, contrast and saturation")

    @field_validator("scale")
    @classmethod
    def _rising(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0 < scale[0] <= scale[1]:
            raise ValueError("must be two numbers above 0, the smaller one first")
        return scale


@dataclass(frozen=True)
class CleanPair:
    """The transform of evaluation: the picture as `CleanTransform` has it, and its target in the same place.

    Attributes:
        input: What the network takes.
        upright: Turn pictures as their EXIF data say, before they are laid on their targets.
        whole: Leave out the crop, and leave targets at their own size: pictures just cover what the network takes.

    Raises:
        DataError: If the input is neither grey nor RGB.
    """

    input: InputSpec
    upright: bool = True
    whole: bool = False

    def __post_init__(self) -> None:
        check_channels(self.input)

    def __call__(self, picture: Image.Image, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normalized tensor `(C, H, W)` and the target `(H, W)`, of the nearest pixels.

        Raises:
            CorruptImageError: If the two have different sizes.
        """
        colors = _fitting(picture, target, upright=self.upright)
        if self.whole:
            return torch.from_numpy(normalized_pixels(colors, self._covered_by(colors), upright=False)), target
        pixels = torch.from_numpy(normalized_pixels(colors, self.input, upright=False))
        size, corner = placed(colors.size, self.input)
        sides = zip(reversed(corner), self.input.size[1:], reversed(size), target.shape, strict=True)
        rows, columns = (_nearest(*side) for side in sides)
        inside = ((rows >= 0) & (rows < len(target)))[:, None] & (columns >= 0) & (columns < target.shape[1])
        found = target[rows.clamp(0, len(target) - 1)[:, None], columns.clamp(0, target.shape[1] - 1)]
        return pixels, torch.where(inside, found, torch.full_like(found, unseen(target)))

    def _covered_by(self, picture: Image.Image) -> InputSpec:
        """Return what takes a whole picture, resized so that it covers this input, and is no larger."""
        channels, height, width = self.input.size
        factor = max(height / picture.height, width / picture.width)
        sides = (max(height, round(factor * picture.height)), max(width, round(factor * picture.width)))
        return replace(self.input, size=(channels, *sides), crop_pct=1.0)


@dataclass(frozen=True)
class _VariedPair:
    input: InputSpec
    augment: DenseAugmentation
    upright: bool

    def __call__(self, picture: Image.Image, target: Tensor) -> tuple[Tensor, Tensor]:
        channels, *wanted = self.input.size
        colors = _fitting(picture, target, upright=self.upright)
        pixels = v2.functional.pil_to_tensor(colors if channels == 3 else colors.convert("L"))
        covering = max(side / own for side, own in zip(wanted, target.shape, strict=True))
        factor = covering * float(torch.empty(()).uniform_(*self.augment.scale))
        size = [max(1, round(factor * own)) for own in target.shape]
        # torchvision's own rounds down, and moves masks by up to half a pixel against images.
        rows, columns = (_nearest(0, count, count, own) for count, own in zip(size, target.shape, strict=True))
        image = v2.functional.resize(tv_tensors.Image(pixels), size, antialias=True)
        varied: tuple[Tensor, Tensor] = self._steps(unseen(target))(
            image, tv_tensors.Mask(target[rows[:, None], columns])
        )
        return varied[0].as_subclass(Tensor), varied[1].as_subclass(Tensor)

    def _steps(self, uncovered: float) -> v2.Compose:
        jitter, spec = self.augment.color_jitter, self.input
        fill = {tv_tensors.Image: [255 * mean for mean in spec.mean], tv_tensors.Mask: uncovered}
        return v2.Compose(
            [
                v2.RandomCrop(spec.size[1:], pad_if_needed=True, fill=fill),
                v2.RandomHorizontalFlip(self.augment.hflip),
                v2.ColorJitter(jitter, jitter, jitter),
                v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
                v2.Normalize(spec.mean, spec.std),
            ]
        )


def transforms_of(
    kind: TargetKind, spec: InputSpec, augment: Augmentation | DenseAugmentation | None, *, upright: bool = True
) -> tuple[Transform | PairTransform, Transform | PairTransform]:
    """Return the transform of images with targets of a kind, and the same without augmentation.

    Args:
        kind: `label`, or else of pictures and targets together.
        spec: What the network takes.
        augment: How images are varied; None for not at all.
        upright: Turn them first as their EXIF data say.

    Raises:
        RecipeError: If the augmentation is for targets of another kind.
        DataError: If the input is neither grey nor RGB.
    """
    fitting = Augmentation if kind == "label" else DenseAugmentation
    if augment is not None and not isinstance(augment, fitting):
        raise RecipeError(f"Images with targets of kind {kind!r} are varied by {fitting.__name__}, not {augment!r}.")
    if isinstance(augment, DenseAugmentation):
        return _VariedPair(spec, augment, upright), CleanPair(spec, upright)
    clean = CleanTransform(spec, upright) if kind == "label" else CleanPair(spec, upright)
    return clean if augment is None else train_transform(spec, augment, upright=upright), clean


def _fitting(picture: Image.Image, target: Tensor, *, upright: bool) -> Image.Image:
    """Return a picture in RGB, once it is as large as its target."""
    colors = to_rgb(picture, upright=upright)
    height, width = target.shape
    if colors.size != (width, height):
        name = getattr(picture, "filename", "") or "A picture"
        raise CorruptImageError(
            f"{name} (of {colors.width}x{colors.height} pixels, its target of {width}x{height}) does not decode: "
            "both must have one size"
        )
    return colors


def _nearest(corner: int, count: int, resized: int, side: int) -> Tensor:
    """Return which of `side` positions lie nearest to those of a crop out of a resized picture."""
    return torch.floor((corner + torch.arange(count) + 0.5).double() * side / resized).long()
