"""Image sizes: models for another one with their weights, and what is near where a model does not take one."""

import copy
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from math import ceil, floor
from typing import Any

import timm
import torch
from timm.layers import to_2tuple
from timm.models import get_model_args
from torch import nn

from snnet.anchors.anchor import AnchorSource
from snnet.anchors.build import MODELS, build_model
from snnet.anchors.images import patched_size
from snnet.anchors.resampling import resampled
from snnet.anchors.states import check_fit
from snnet.errors import AnchorError, CheckpointError
from snnet.utils import run_on_meta

Size = tuple[int, int]
"""Height and width of images."""

_STEPS = (1, 2, 4, 8, 16, 32)  # of which, times the side of a patch, sizes near a refused one are multiples
_FAULTS = (AnchorError, AssertionError, RuntimeError, TypeError, ValueError, IndexError)
"""What timm's models raise for a size that they do not take."""


def read_size(given: Any) -> Size:
    """Return height and width of an image size, which may be one number for both.

    Raises:
        AnchorError: If it is neither.
    """
    size = (given, given) if isinstance(given, int) else given
    if isinstance(size, list | tuple) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size):
        return size[0], size[1]
    raise AnchorError(f"image_size={given!r} is no size of images; give (height, width), or one number for both.")


def sized_source(source: AnchorSource, size: Size) -> AnchorSource:
    """Return how to build the model of `source` for images of another height and width.

    A builder filed in `MODELS` gets the argument `image_size`. timm builds its models for what their record says,
    unless the one of a name says otherwise.

    Raises:
        AnchorError: If timm's model of the name does not take such images; the message has sizes near it that do.
    """
    settings = dict(source.kwargs)
    if source.model in MODELS.names():
        return replace(source, kwargs=tuple({**settings, "image_size": size}.items()))
    with torch.device("meta"):
        usual = build_model(replace(source, pretrained=False))
    record = settings.get("pretrained_cfg_overlay", {})
    # A first convolution may take other channels than the images have: what the model makes of them before it.
    channels = settings.get("in_chans", usual.pretrained_cfg["input_size"][0])  # type: ignore[index]

    def sized(size: Size) -> AnchorSource:
        settings["pretrained_cfg_overlay"] = {**record, "input_size": (channels, *size)}
        if patched_size(usual):
            settings["img_size"] = size
        return replace(source, kwargs=tuple(settings.items()))

    def attempt(size: Size) -> None:
        with torch.device("meta"):
            check_runs(build_model(replace(sized(size), pretrained=False)), channels, size)

    refuse_unless(attempt, source.name or source.model, size, usual)
    return sized(size)


def build_sized(sized: AnchorSource, source: AnchorSource) -> nn.Module:
    """Build a model by name for images of another size, with its published weights if they are asked for.

    timm resamples these for most of its models; for others they are resampled here.

    Args:
        sized: How to build it for that size, see `sized_source`.
        source: How to build it for its usual one.

    Raises:
        AnchorError: If the model cannot be built, or its weights cannot be had.
    """
    try:
        return build_model(sized)
    except AnchorError:
        if not source.pretrained or source.checkpoint is not None or source.model in MODELS.names():
            raise
        usual = build_model(source)
    return _with_weights_of(usual, build_model(replace(sized, pretrained=False)))


def resized(model: nn.Module, size: Size) -> nn.Module:
    """Return a copy of a built model for images of another height and width, its weights resampled.

    Args:
        model: One of timm's, or any with timm's method `set_input_size(img_size)`, see `check_resizable`.
        size: Height and width.

    Raises:
        AnchorError: If its weights do not fit what timm builds for that size.
    """
    record: dict[str, Any] = dict(getattr(model, "pretrained_cfg", None) or {})
    if record:
        record["input_size"] = (record["input_size"][0], *size)
    grows = hasattr(model, "set_input_size")
    if not grows and record.get("fixed_input_size"):
        kwargs = get_model_args(model)
        if "img_size" in kwargs:
            kwargs["img_size"] = size
        return _with_weights_of(model, timm.create_model(record["architecture"], pretrained_cfg=record, **kwargs))
    made: Any = copy.deepcopy(model)
    if grows:
        # Without them timm enlarges windows with the images: other attention, at other cost, than of the name.
        windows = getattr(made, "_ref_window_sizes", None)
        made.set_input_size(img_size=size, **({} if windows is None else {"window_size": windows}))
    if record:
        made.pretrained_cfg = made.default_cfg = record
    resized_model: nn.Module = made
    return resized_model


def check_resizable(model: nn.Module, name: str, size: Size) -> None:
    """Refuse a built model of which nobody knows how to make it for images of another size.

    Raises:
        AnchorError: The message says what would tell.
    """
    if not (hasattr(model, "set_input_size") or getattr(model, "pretrained_cfg", None)):
        raise AnchorError(
            f"{name} cannot be made for images of {size_text(size)}: {type(model).__name__} has neither timm's record "
            "of its input nor a method set_input_size(img_size); build it for that size, or leave image_size out."
        )


def _with_weights_of(usual: nn.Module, model: nn.Module) -> nn.Module:
    state = resampled(usual.state_dict(), model, usual)
    try:
        check_fit(state, {name: tensor.shape for name, tensor in model.state_dict().items()}, "The weights do not fit")
    except CheckpointError as error:
        raise AnchorError(f"{error} Build it for that size, or leave image_size out.") from error
    first = next(usual.parameters())
    model.to(first.device, first.dtype).load_state_dict(state)
    return model.train(usual.training)


def check_runs(model: Any, channels: int, size: Size) -> None:
    """Run a model on the meta device for images of a size.

    Raises:
        ValueError: If patches do not divide the images, whose borders would be left out.
    """
    sides = _patch(model)
    if any(n % side for n, side in zip(size, sides, strict=True)):
        raise ValueError(f"its patches of {size_text(sides)} do not divide them")
    run_on_meta(model, torch.empty(2, channels, *size, device="meta"))


def refuse_unless(attempt: Callable[[Size], None], name: str, size: Size, model: nn.Module) -> None:
    """Refuse an image size for which an attempt fails.

    Args:
        attempt: Makes a model for a size and runs it, without arithmetic.
        name: Of the model.
        size: The size that was asked for.
        model: The model for another size.

    Raises:
        AnchorError: The message says why, and gives the nearest sizes for which it does not fail.
    """
    try:
        attempt(size)
    except _FAULTS as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
    else:
        return
    near = [found for way in (floor, ceil) if (found := _nearest(attempt, size, _patch(model), way))]
    told = f"; sizes near it that it takes: {', '.join(map(size_text, dict.fromkeys(near)))}" if near else ""
    raise AnchorError(f"{name} does not take images of {size_text(size)}: {reason}{told}.")


def _nearest(attempt: Callable[[Size], None], size: Size, patch: Size, way: Callable[[float], int]) -> Size | None:
    """Return the nearest size in one direction that is a multiple of few patches and for which the attempt succeeds."""
    for times in _STEPS:
        height, width = (max(way(n / (side * times)), 1) * side * times for n, side in zip(size, patch, strict=True))
        with suppress(*_FAULTS):
            attempt((height, width))
            return height, width
    return None


def _patch(model: Any) -> Size:
    """Return height and width of the patches that must divide the images; 1 where none must."""
    patches = getattr(model, "patch_embed", None)
    size = to_2tuple(getattr(patches, "patch_size", 1))
    # Patches that overlap, and those that images are padded for, divide any.
    is_cut = tuple(getattr(getattr(patches, "proj", None), "stride", size)) == tuple(size)
    return (size[0], size[1]) if is_cut and not getattr(patches, "dynamic_img_pad", False) else (1, 1)


def size_text(size: Sequence[int]) -> str:
    """Return a size as people write it, `HxW`."""
    return "x".join(map(str, size))
