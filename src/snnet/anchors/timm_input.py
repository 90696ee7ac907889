"""What timm records about the images that a model takes."""

from collections.abc import Sequence

from timm.data import resolve_model_data_config
from torch import nn

from snnet.specs import InputSpec


def input_spec(model: nn.Module, *, channels: int, size: Sequence[int] | None = None) -> InputSpec:
    """Return the input of a timm model, with the channels and size that the built model really has.

    timm records mean and standard deviation for three channels; a model of another number of channels gets
    their averages for each. Without `size`, the image size is timm's record.
    """
    config = resolve_model_data_config(model)
    height, width = size or config["input_size"][-2:]
    return InputSpec(
        (channels, int(height), int(width)),
        _per_channel(config["mean"], channels),
        _per_channel(config["std"], channels),
        config["interpolation"],
        config["crop_pct"],
    )


def _per_channel(values: Sequence[float], channels: int) -> tuple[float, ...]:
    if len(values) == channels:
        return tuple(values)
    return (round(sum(values) / len(values), 6),) * channels
