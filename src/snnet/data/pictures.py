"""From a picture, or the file of one, to the normalized pixels that a network takes: Pillow and numpy, no torch."""

import math
import os
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snnet.data.corrupt import CorruptImageError, decode
from snnet.data.pixel_modes import to_rgb
from snnet.data.walk import pictures_in
from snnet.errors import DataError, did_you_mean
from snnet.space import InputSpec
from snnet.utils import counted

Picture: TypeAlias = Image.Image | str | os.PathLike[str]
"""A picture as Pillow has it, or the path of one."""
Pixels: TypeAlias = NDArray[np.float32]


def open_picture(picture: Picture) -> Image.Image:
    """Return a picture, decoded.

    Raises:
        DataError: If there is no such file.
        CorruptImageError: If the file is no image, or a damaged one.
    """
    if isinstance(picture, Image.Image):
        return picture
    if not isinstance(picture, str | os.PathLike):
        raise DataError(f"{type(picture).__name__} is no picture; give an image of Pillow or the path of one.")
    path = Path(picture).expanduser()
    try:
        data = path.read_bytes()
    except IsADirectoryError:
        count = len(pictures_in(path))
        raise DataError(f"{picture} is a folder of {counted(count, 'image')}; give the path of an image.") from None
    except OSError as error:
        raise DataError(f"{picture} cannot be read ({error.strerror}); give the path of an image.") from error
    try:
        return decode(data, str(picture))
    except CorruptImageError as error:
        raise CorruptImageError(
            f"{picture} is not an image that Pillow reads, or a damaged one; give a JPEG, PNG, WebP, TIFF or the like."
        ) from error


def normalized_pixels(picture: Image.Image, spec: InputSpec, *, upright: bool = True, whole: bool = False) -> Pixels:
    """Return the pixels `(C, H, W)` of a picture as a network takes them: resized, center-cropped, normalized.

    Equal, to the last bit, to `timm.data.create_transform(..., is_training=False)`: the shorter side is resized to
    the network's size divided by `crop_pct`. Grey networks see the luma of colors.

    Args:
        picture: In any of Pillow's pixel modes, see `to_rgb`.
        spec: What the network takes.
        upright: Turn it as its EXIF data say, which timm does not.
        whole: Resize height and width apart to the network's size, and crop nothing, so that each pixel is seen.

    Raises:
        DataError: If the network takes neither grey nor RGB, or a filter that Pillow does not have.
    """
    channels, height, width = spec.size
    check_channels(spec)
    colors = to_rgb(picture, upright=upright)
    size, (left, top) = ((width, height), (0, 0)) if whole else placed(colors.size, spec)
    resized = _resize(colors if channels == 3 else colors.convert("L"), size, spec.interpolation)
    cropped = resized.crop((left, top, left + width, top + height))
    pixels = np.asarray(cropped, np.float32).reshape(height, width, channels).transpose(2, 0, 1)
    mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (spec.mean, spec.std))
    normalized: Pixels = np.ascontiguousarray((pixels / np.float32(255) - mean) / std)
    return normalized


def check_channels(spec: InputSpec) -> int:
    """Return the number of channels.

    Raises:
        DataError: If it is neither 1 nor 3.
    """
    channels = spec.size[0]
    if channels not in (1, 3):
        raise DataError(f"The anchors take {counted(channels, 'channel')}; image data sets give 1 (grey) or 3 (RGB).")
    return channels


def placed(size: tuple[int, int], spec: InputSpec) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return what a picture is resized to, and at which corner of that the crop begins; width or left first.

    Args:
        size: Width and height of the picture.
        spec: What the network takes.
    """
    height, width = (math.floor(side / spec.crop_pct) for side in spec.size[1:])
    if height == width:
        # As torchvision: the longer side is rounded down.
        columns, rows = (int(height * side / min(size)) for side in size)
    else:
        # As timm's ResizeKeepRatio: both sides are rounded.
        ratio = min(size[1] / height, size[0] / width)
        columns, rows = (round(side / ratio) for side in size)
    return (columns, rows), (round((columns - spec.size[2]) / 2), round((rows - spec.size[1]) / 2))


def _resize(picture: Image.Image, size: tuple[int, int], interpolation: str) -> Image.Image:
    filters = {kind.name.lower(): kind for kind in Image.Resampling}
    if interpolation not in filters:
        raise DataError(
            f"The network's input has interpolation {interpolation!r}; accepted: {', '.join(filters)}."
            f"{did_you_mean(interpolation, filters)}"
        )
    return picture if size == picture.size else picture.resize(size, filters[interpolation])
