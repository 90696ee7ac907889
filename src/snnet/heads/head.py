"""Dense heads by name, and whether a head fits the maps that it is to read."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from snnet.errors import HeadError, did_you_mean
from snnet.space import MapSpec
from snnet.utils import Registry, counted, run_on_meta

HeadBuilder = Callable[..., nn.Module]
"""A class or function that makes a head of `maps` (a sequence of `MapSpec`), `outputs`, and options by keyword."""

HeadLike = str | nn.Module
"""The name of a head, or a head that is built already."""

HEADS: Registry[HeadBuilder] = Registry("head", "snnet.heads", ("snnet.heads.linear", "snnet.heads.smp"))
"""Dense heads by name; `@HEADS.register("name")` files one."""

_COUNT, _SIDES = 2, (4, 6)  # images of a trial, and their height and width in steps of the coarsest map


def build_head(head: HeadLike, maps: Sequence[MapSpec], outputs: int, **options: Any) -> nn.Module:
    """Return a head that takes a list of maps `(B, C_k, H_k, W_k)` and gives `(B, outputs, H, W)` at image size.

    Args:
        head: One of `HEADS`, or a module that is built already.
        maps: What the maps are, in their order.
        outputs: Channels that the head gives, such as classes.
        options: Of a head that is named.

    Raises:
        RecipeError: If there is no such head.
        HeadError: If it has no such option, cannot be built, or does not fit maps and outputs.
        ExtraError: If the package that brings its decoder is not installed.
    """
    _check_maps(maps, outputs)
    if isinstance(head, nn.Module):
        if options:
            raise HeadError(
                f"{type(head).__name__} is built, and {', '.join(map(repr, options))} would not reach it; build it "
                "with its options, or name it."
            )
        check_head(head, maps, outputs)
        return head
    builder = HEADS.get(head)
    _check_options(head, builder, options)
    try:
        built = builder(list(maps), outputs, **options)
    except (TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, HeadError):
            raise
        raise HeadError(f"Head {head!r} cannot be built{_with(options)} for {_told(maps)}: {error}.") from error
    check_head(built, maps, outputs)
    return built


def check_head(head: nn.Module, maps: Sequence[MapSpec], outputs: int, size: Sequence[int] | None = None) -> None:
    """Refuse a head that does not turn such maps into `(B, outputs, H, W)` at image size.

    It runs on the meta device with stand-ins for its weights, and so without arithmetic.

    Args:
        head: A built head.
        maps: What the maps are, in their order.
        outputs: Channels that it is to give.
        size: Height and width of the images; some that the maps divide if None.

    Raises:
        HeadError: If it fails on such maps, gives something else, or the maps do not divide the images.
    """
    _check_maps(maps, outputs)
    name, coarsest, first = type(head).__name__, max(spec.reduction for spec in maps), maps[0].reduction
    size = size or [side * coarsest for side in _SIDES]
    if any(side % first for side in size):
        near = " or ".join(f"{height}x{width}" for height, width in zip(*(_near(n, first) for n in size), strict=True))
        raise HeadError(
            f"The first map has a position for each {first}x{first} pixels, which do not divide images of "
            f"{size[0]}x{size[1]}; give images of a multiple of {first}, such as {near}."
        )
    sample = [
        torch.empty(_COUNT, spec.channels, *(-(-side // spec.reduction) for side in size), device="meta")
        for spec in maps
    ]
    expected = (_COUNT, outputs, *size)
    try:
        found = run_on_meta(_OfMany(head), *sample)
    except Exception as error:  # it may be the user's own
        raise HeadError(
            f"{name} does not run on {_told(maps)}: {error}. A head takes a list of maps (B, C, H, W) with these "
            "widths, and must not depend on values in them; build it for them, as snnet.heads.build_head does for "
            "names."
        ) from error
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    if shape != expected:
        raise HeadError(
            f"{name} gives {shape} for {_COUNT} images of {size[0]}x{size[1]}, of which it reads {_told(maps)}, and "
            f"{expected} is wanted: {counted(outputs, 'channel')} at image size, which is the first map's height and "
            f"width times {first}."
        )


class _OfMany(nn.Module):
    """Gives a head its maps one by one, for what passes tensors alone."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, *maps: Tensor) -> Any:
        return self.head(list(maps))


def _check_maps(maps: Sequence[MapSpec], outputs: int) -> None:
    if not maps or min(min(spec.channels, spec.reduction) for spec in maps) < 1:
        raise HeadError(f"A head reads at least one map, of at least one channel and reduction 1; got {_told(maps)}.")
    if outputs < 1:
        raise HeadError(f"A head with {outputs} outputs gives nothing; ask for 1 or more.")


def _near(side: int, step: int) -> tuple[int, int]:
    """Return the multiples of a step on both sides of a number, or twice the one where nothing lies below."""
    return max(side // step, 1) * step, -(-side // step) * step


def _check_options(name: str, builder: HeadBuilder, options: dict[str, Any]) -> None:
    taken = list(inspect.signature(builder).parameters.values())[2:]
    if any(each.kind == each.VAR_KEYWORD for each in taken):
        return
    known = [each.name for each in taken]
    if unknown := [option for option in options if option not in known]:
        hint = did_you_mean(unknown[0], known)
        accepted = ", ".join(known) or "none"
        raise HeadError(f"Head {name!r} has no option {unknown[0]!r}; accepted: {accepted}.{hint}")


def _with(options: dict[str, Any]) -> str:
    return f" with {', '.join(f'{name}={value!r}' for name, value in options.items())}" if options else ""


def _told(maps: Sequence[MapSpec]) -> str:
    return f"maps of {', '.join(map(str, maps))}" if maps else "no map"
