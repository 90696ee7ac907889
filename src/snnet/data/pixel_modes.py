"""From every pixel mode that Pillow has to RGB: one table, which converts, scales, composites or refuses by name."""

import struct
from collections.abc import Callable

import numpy as np
from PIL import ExifTags, Image

from snnet.data.corrupt import CorruptImageError

BACKGROUND = "white"
"""What is seen through the transparent parts of a picture."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIXTEEN_BITS, _THIRTY_ONE_BITS = 2**16 - 1, 2**31 - 1
# Formats of which Pillow opens 16-bit grey as 32 bits wide.
_OPENED_WIDE = ("PPM", "PNG")
# A white is taken for the right one if the brightest pixel has at least this part of it.
_BRIGHT = 1 / 16


def to_rgb(picture: Image.Image, *, upright: bool = True) -> Image.Image:
    """Return a picture in RGB: by its pixel mode as `MODES` says, on white where it is transparent.

    Args:
        picture: In any mode of Pillow's.
        upright: Turn it as its EXIF data say. timm does not.

    Raises:
        CorruptImageError: If its pixels are in a mode that is not known, or have no range that can be told.
    """
    if picture.mode not in MODES:
        raise _refused(picture, f"its pixel mode is {picture.mode!r}; accepted: {', '.join(MODES)}")
    rgb = MODES[picture.mode](picture)
    turn = _turn(picture) if upright else None
    return rgb if turn is None else rgb.transpose(turn)


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Return height and width of a picture once it is turned as its EXIF data say."""
    lies = _turn(picture) in [_TURNS[number] for number in (5, 6, 7, 8)]
    return picture.size if lies else (picture.height, picture.width)


def _turn(picture: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except (SyntaxError, ValueError, TypeError, KeyError, EOFError, OSError, struct.error):
        return None  # damaged EXIF data say nothing, and the image is whole


def _converted(picture: Image.Image) -> Image.Image:
    if picture.has_transparency_data:  # a palette, or a color, may be transparent
        return _composited(picture)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _composited(picture: Image.Image) -> Image.Image:
    colors = picture.convert("LA" if picture.mode == "La" else "RGBA").convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colors.size, BACKGROUND), colors).convert("RGB")


def _scaled(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture)
    whites = _whites(picture)
    lowest, highest = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    fits = [white for white in whites if highest <= white and (highest >= white * _BRIGHT or len(whites) == 1)]
    if lowest < 0 or not (fits or highest == 0):
        raise _refused(
            picture,
            f"its {picture.mode!r} pixels range from {lowest:g} to {highest:g}, and white is taken to be "
            f"{' or '.join(map(str, whites))}, where the brightest pixel has a sixteenth of it or "
            "more; save it with 8 or 16 bits",
        )
    white = (fits or whites)[0]
    bits = white.bit_length()
    grey = np.floor(values * (255 / white) + 0.5) if picture.mode == "F" else values >> (bits - 8)
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        grey = np.where(values == clear, 255, grey)
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")


def _whites(picture: Image.Image) -> tuple[int, ...]:
    """Return what white may be; if that is one value, it is certain."""
    if picture.mode == "F":
        return 1, 255
    known = picture.mode != "I" or picture.format in _OPENED_WIDE
    return (_SIXTEEN_BITS,) if known else (_SIXTEEN_BITS, _THIRTY_ONE_BITS)


def _refused(picture: Image.Image, why: str) -> CorruptImageError:
    return CorruptImageError(f"{getattr(picture, 'filename', '') or 'A picture'} does not decode ({why})")


MODES: dict[str, Callable[[Image.Image], Image.Image]] = {
    **dict.fromkeys(("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"), _converted),
    **dict.fromkeys(("LA", "La", "PA", "RGBA", "RGBa"), _composited),
    **dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N", "I", "F"), _scaled),
}
"""Pixel mode -> what makes RGB of it: converted as Pillow does, laid on white, or scaled to 8 bits."""
