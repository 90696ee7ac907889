"""What flows between the parts of a network: images into it, features between its blocks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """Shape and layout of the features between two blocks.

    Attributes:
        channels: Width of the features.
        layout: `tokens` for `(B, prefix_tokens + H * W, C)`.
        grid: Height and width of the feature map.
        prefix_tokens: Class, distillation and register tokens before the grid.
    """

    channels: int
    layout: str
    grid: tuple[int, int]
    prefix_tokens: int = 0


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
