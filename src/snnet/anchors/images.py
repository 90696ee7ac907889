# Tested in tests/anchors/test_families.py.
"""The images that models take: what timm records of them, and images for one model made right for another."""

from collections.abc import Sequence

import torch
from timm.data import resolve_model_data_config
from torch import Tensor, nn

from snnet.space import InputSpec


def input_spec(model: nn.Module, *, channels: int | None = None, size: Sequence[int] | None = None) -> InputSpec:
    """Return the input of a timm model, with the channels and size that the built model really has.

    timm records mean and standard deviation for three channels; a model of another number of channels gets
    their averages for each.

    Args:
        model: The built model.
        channels: Of the images; if None, those that the model's first convolution takes, or timm's record of a model
            without any.
        size: Height and width of the images; if None, what its grid of patches is made for, or timm's record of a model
            without one.
    """
    config = resolve_model_data_config(model)
    height, width = size or patched_size(model) or config["input_size"][-2:]
    # In timm's models the stem comes first; in hybrids it is a CNN before the projection of patches.
    first = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    count = channels or (int(config["input_size"][0]) if first is None else first.in_channels)
    return InputSpec(
        (count, int(height), int(width)),
        _per_channel(config["mean"], count),
        _per_channel(config["std"], count),
        config["interpolation"],
        config["crop_pct"],
    )


def patched_size(model: nn.Module) -> Sequence[int] | None:
    """Return height and width of the images that a model's grid of patches is made for; None if it has no such grid."""
    size: Sequence[int] | None = getattr(getattr(model, "patch_embed", None), "img_size", None)
    return size


def _per_channel(values: Sequence[float], channels: int) -> tuple[float, ...]:
    if len(values) == channels:
        return tuple(values)
    return (round(sum(values) / len(values), 6),) * channels


class Renormalize(nn.Module):
    """Turns images normalized for one model into images normalized for another.

    Args:
        source: How the images are normalized.
        target: How they shall be.
    """

    def __init__(self, source: InputSpec, target: InputSpec) -> None:
        super().__init__()
        mean_in, std_in, mean_out, std_out = (
            torch.tensor(values)[:, None, None] for values in (source.mean, source.std, target.mean, target.std)
        )
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", std_in / std_out, persistent=False)
        self.register_buffer("shift", (mean_in - mean_out) / std_out, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map images `(B, C, H, W)`."""
        return images * self.scale + self.shift
