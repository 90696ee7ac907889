"""What timm records about the images that a model takes."""

from collections.abc import Sequence

from timm.data import resolve_model_data_config
from torch import nn

from snnet.specs import InputSpec


def input_spec(model: nn.Module, *, channels: int, size: Sequence[int]) -> InputSpec:
    """Return the input of a timm model, with the channels and size that the built model really has.

    timm records mean and standard deviation for three channels; a model of another number of channels gets
    their averages for each.
    """
    config = resolve_model_data_config(model)
    return InputSpec(
        (channels, int(size[0]), int(size[1])),
        _per_channel(config["mean"], channels),
        _per_channel(config["std"], channels),
        config["interpolation"],
        config["crop_pct"],
    )


def _per_channel(values: Sequence[float], channels: int) -> tuple[float, ...]:
    if len(values) == channels:
        return tuple(values)
    return (round(sum(values) / len(values), 6),) * channels
