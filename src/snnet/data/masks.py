"""Masks and depth maps from files: numbers or colors of classes, or distances; and the names of the classes."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from snnet.data.corrupt import CorruptImageError, decode, decoding
from snnet.data.targets import IGNORED, UNKNOWN, TargetSettings
from snnet.errors import DataError

PALETTES, NAMES = ("palette.txt", "palette.json"), "classes.txt"
VOID = ("void", "ignored")
"""What colors are called in a palette whose pixels count for nothing."""
# A name and its color: red, green and blue from 0 to 255, or #rrggbb.
_LINE = re.compile(r"(?P<name>.*?)[\s,:]+(?:#(?P<hex>[0-9a-fA-F]{6})|(?P<rgb>\d+[\s,]+\d+[\s,]+\d+))\s*")
_NUMBERS = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True)
class Legend:
    """What the classes of masks are called, and their colors.

    Attributes:
        classes: Names, in the order of their numbers; empty where they are not known.
        colors: Red, green and blue in one number -> class; empty where masks hold numbers.
    """

    classes: tuple[str, ...] = ()
    colors: Mapping[int, int] = field(default_factory=dict)


def read_legend(settings: TargetSettings, folders: Sequence[Path] = ()) -> Legend:
    """Return the classes of masks, as settings say, or as a file in the first of some folders that has one.

    Raises:
        DataError: If the file cannot be read or is none, or there are too many classes.
    """
    if settings.kind == "depth":
        return Legend()
    places = [folder / name for folder in folders for name in PALETTES]
    palette = settings.palette or next((path for path in places if path.is_file()), None)
    listed = settings.classes or next((path for folder in folders if (path := folder / NAMES).is_file()), None)
    if palette is not None and settings.classes is None:
        legend = _legend_of(palette)
        listed = palette
    else:
        names = [] if listed is None else [line.strip() for line in _text(listed).splitlines()]
        legend = Legend(tuple(name for name in names if name))
        if listed is not None and not legend.classes:
            raise DataError(f"{listed} names no class; write one a line.")
    if len(set(legend.classes)) != len(legend.classes) or len(legend.classes) > IGNORED:
        raise DataError(f"{listed} names a class twice, or more than {IGNORED}; give each class a name of its own.")
    return legend


def read_target(path: Path, settings: TargetSettings, legend: Legend) -> Tensor:
    """Return the mask (int64) or depth map (float32) in a file, `(H, W)`: a picture, or an array of numpy (`.npy`).

    Raises:
        CorruptImageError: If it does not decode, or holds a color or number that no class has.
        DataError: If it cannot be read, or holds colors without a palette.
    """
    if path.suffix.lower() == ".npy":
        with decoding(str(path)):
            array = np.load(path, allow_pickle=False)
            if array.ndim != 2 or array.dtype.kind not in "buif":
                raise ValueError(f"an array {array.shape} of {array.dtype} where (height, width) of numbers belong")
        return target_of_values(array, settings, str(path))
    return target_of_picture(decode(path, str(path)), settings, legend, str(path))


def target_of_picture(picture: Image.Image, settings: TargetSettings, legend: Legend, name: str) -> Tensor:
    """Return the mask or depth map that a picture holds; `read_target` says what it raises.

    Args:
        picture: In numbers, or in the colors of the palette.
        settings: Tell what the numbers mean.
        legend: Classes and colors.
        name: What to call it in messages.
    """
    if legend.colors:
        return torch.from_numpy(_by_color(picture, legend, name))
    values = np.asarray(picture)
    if picture.mode not in (*_NUMBERS, "F"):
        # What is grey all the same.
        bands = values.reshape(*values.shape[:2], -1)[..., : len(picture.getbands()) - ("A" in picture.getbands())]
        if not (bands == bands[..., :1]).all():
            raise DataError(
                f"{name} holds colors (mode {picture.mode}), and no palette says what they mean; put {PALETTES[0]} "
                "beside the images, with a name and a color a line, such as 'road 128 64 128'."
            )
        values = bands[..., 0]
    return target_of_values(values, settings, name)


def target_of_values(values: NDArray[Any], settings: TargetSettings, name: str) -> Tensor:
    """Return the mask or depth map `(H, W)` that numbers mean; `read_target` says what it raises."""
    if settings.kind == "depth":
        depth = values.astype(np.float32) * np.float32(settings.scale)
        return torch.from_numpy(np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(UNKNOWN)))
    whole = values.astype(np.int64)
    if values.dtype.kind == "f" and not (whole == values).all():
        raise CorruptImageError(f"{name} (with fractions where classes belong) does not decode")
    ignored = np.isin(whole, settings.ignored) if settings.ignored else np.zeros(whole.shape, bool)
    classes = whole + settings.offset
    if (beyond := classes[~ignored & (classes >= IGNORED)]).size:
        raise CorruptImageError(f"{name} (number {beyond[0] - settings.offset} in it) does not decode")
    return torch.from_numpy(np.where(ignored | (classes < 0), IGNORED, classes))


def _by_color(picture: Image.Image, legend: Legend, name: str) -> NDArray[np.int64]:
    red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB"), np.int64), 2, 0)
    found = red << 16 | green << 8 | blue
    known = np.array(sorted(legend.colors))
    places = np.searchsorted(known, found).clip(max=len(known) - 1)
    unknown = found[known[places] != found]
    if unknown.size:
        raise CorruptImageError(f"{name} (color #{unknown[0]:06x}, which is not in the palette) does not decode")
    numbers: NDArray[np.int64] = np.array([legend.colors[color] for color in known])[places]
    return numbers


def _legend_of(path: Path) -> Legend:
    classes: list[str] = []
    numbers: dict[int, int] = {}
    for name, color in _colors(path):
        is_void = name.lower() in VOID
        if color in numbers:
            raise DataError(f"{path} has the color #{color:06x} twice, for {name!r} too; give each class its own.")
        numbers[color] = IGNORED if is_void else len(classes)
        classes += [] if is_void else [name]
    if not classes:
        raise DataError(f"{path} names no class; write a name and a color a line, such as 'road 128 64 128'.")
    return Legend(tuple(classes), numbers)


def _colors(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the names in a palette with their colors."""
    text = _text(path)
    lines = [line for line in text.splitlines() if line.strip()]
    if path.suffix.lower() == ".json":
        try:
            found = json.loads(text).items()
            lines = [
                f"{name} {color if isinstance(color, str) else ' '.join(map(str, color))}" for name, color in found
            ]
        except (ValueError, AttributeError, TypeError) as error:
            raise DataError(f'{path} is not JSON such as {{"road": [128, 64, 128]}}: {error}.') from error
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line.strip())
        parts = [int(part) for part in re.split(r"[\s,]+", match["rgb"])] if match and match["rgb"] else []
        if match is None or not match["name"] or max(parts, default=0) > 255:
            raise DataError(
                f"{path} has {line!r} as its entry {number}, where a name and a color belong, such as "
                "'road 128 64 128' or 'road #804080'."
            )
        red, green, blue = parts or bytes.fromhex(match["hex"])
        yield match["name"].strip(), red << 16 | green << 8 | blue


def _text(path: Path) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}, a file of classes, cannot be read: {error}; check the path and its content."
        ) from error
