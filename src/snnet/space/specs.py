# Tested in tests/layers/test_stitching.py.
"""What flows through a network: images into it, features between its blocks, and what comes out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from snnet.utils import counted

Layout = Literal["tokens", "NHWC", "NCHW"]
"""Order of the axes of a feature map; `tokens` is `(B, N, C)`."""
Activation = Literal["softmax", "sigmoid", "softplus", "exp", "none"]
"""A function of outputs, by its name."""


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """Shape and layout of the features between two blocks.

    Attributes:
        channels: Width of the features.
        layout: `tokens` for `(B, prefix_tokens + H * W, C)`, `NHWC` for `(B, H, W, C)`, `NCHW` for `(B, C, H, W)`.
        grid: Height and width of the feature map.
        prefix_tokens: Class, distillation and register tokens before the grid; 0 but for `tokens`.
    """

    channels: int
    layout: Layout
    grid: tuple[int, int]
    prefix_tokens: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the features of one image."""
        height, width = self.grid
        if self.layout == "tokens":
            return (self.prefix_tokens + height * width, self.channels)
        return (height, width, self.channels) if self.layout == "NHWC" else (self.channels, height, width)

    def __str__(self) -> str:
        height, width = self.grid
        prefix = f"{counted(self.prefix_tokens, 'token')} and " if self.prefix_tokens else ""
        return f"{prefix}{height}x{width} positions of {counted(self.channels, 'channel')} ({self.layout})"


@dataclass(frozen=True, slots=True)
class MapSpec:
    """What a feature map is that a dense head reads, in the words of timm's `feature_info`.

    Attributes:
        channels: Width of the features, timm's `num_chs`.
        reduction: Pixels of the image for each position, along an axis.
    """

    channels: int
    reduction: int

    def __str__(self) -> str:
        return f"{counted(self.channels, 'channel')} at 1/{self.reduction}"


def map_specs(size: Sequence[int], features: Iterable[FeatureSpec]) -> tuple[MapSpec, ...]:
    """Return the map of each of the features that follow each other in an anchor, the stem's first.

    Grids are rounded where strides do not divide them: of 28 pixels, maps of 7, 4, 2 and 1 positions are reduced by 4,
    8, 16 and 32. So a reduction is told from that of the map before it.

    Args:
        size: Height and width of the images.
        features: Output of the stem, and of each block.
    """
    longer = size[1] > size[0]  # of the longer side, of which rounding takes less
    before, reduction, maps = size[longer], 1, []
    for spec in features:
        reduction *= max(round(before / spec.grid[longer]), 1)
        before = spec.grid[longer]
        maps.append(MapSpec(spec.channels, reduction))
    return tuple(maps)


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """What the outputs of a network mean.

    Attributes:
        activation: What makes of outputs what people are told: `softmax` probabilities of classes of which one holds,
            `sigmoid` of labels of which any hold, `softplus` and `exp` amounts above 0; `none` leaves them.
        dense: Whether there are outputs for each pixel, `(B, outputs, H, W)`.
    """

    activation: Activation = "softmax"
    dense: bool = False


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What images an anchor was trained on.

    Attributes:
        size: Channels, height and width.
        mean: Per-channel mean that images are normalized with.
        std: Per-channel standard deviation that images are normalized with.
        interpolation: Filter of the resize.
        crop_pct: Share of the resized image that the center crop keeps.
    """

    size: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    crop_pct: float = 0.875

    def normalized_like(self, other: "InputSpec") -> bool:
        """Tell whether images for one are normalized as the other wants them."""
        return (self.mean, self.std) == (other.mean, other.std)
