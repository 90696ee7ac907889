"""What a network sees at each pixel of a picture: a mask of classes, or amounts such as depths. Without torch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from snnet.errors import DataError
from snnet.space import OutputSpec, Stitch
from snnet.utils import write_aside

DEPTH_SCALE = 256.0
"""Steps of a 16-bit PNG for one unit of depth, as in KITTI."""
_SIXTEEN_BITS = 2**16 - 1
_INDEXED = 256  # colors of a palette


class Share(NamedTuple):
    """A class: its number, its name (or number, if the network knows none), and the part of a picture it covers."""

    number: int
    name: str | int
    share: float


@dataclass(frozen=True, eq=False, repr=False)
class MaskPrediction:
    """The class of each pixel of one image.

    Probabilities are resized to the image's own size (bilinear; averaged where that is smaller); the largest counts.

    Attributes:
        stitch: Which stitch answered.
        mask: Numbers of classes `(H, W)`, at the image's own height and width.
        num_classes: How many classes there are.
        classes: Names of the classes; None if the network knows none.
    """

    stitch: Stitch
    mask: NDArray[Any]
    num_classes: int
    classes: tuple[str, ...] | None = None

    @cached_property
    def shares(self) -> list[Share]:
        """The classes that occur with the part of the image that each covers, the largest first."""
        counts = np.bincount(self.mask.ravel(), minlength=self.num_classes)
        order = [number for number in np.argsort(-counts, kind="stable").tolist() if counts[number]]
        names = self.classes or range(self.num_classes)
        return [Share(number, names[number], int(counts[number]) / self.mask.size) for number in order]

    def picture(self) -> Image.Image:
        """Return the mask as a picture of Pillow's, in the colors of `palette`; of more than 256 classes in grey."""
        if self.num_classes > _INDEXED:
            return Image.fromarray(self.mask.astype(np.uint16))
        picture = Image.fromarray(self.mask.astype(np.uint8))
        picture.putpalette([part for color in palette(self.num_classes) for part in color])
        return picture

    def save(self, path: str | Path) -> Path:
        """Write the mask as a PNG whose pixels are the numbers of classes, with a palette to look at.

        Raises:
            DataError: If the name does not end with `.png`, or the file cannot be written.
        """
        return _written(path, ".png", lambda file: self.picture().save(file, "PNG"))

    def __repr__(self) -> str:
        seen = ", ".join(f"{name!r} {100 * share:.1f} %" for _, name, share in self.shares[:3])
        height, width = self.mask.shape
        return f"MaskPrediction({height}x{width}: {seen}, stitch={str(self.stitch)!r})"


@dataclass(frozen=True, eq=False, repr=False)
class MapPrediction:
    """Amounts for each pixel of one image, such as depths; or the numbers that a network gives for a whole image.

    Maps are resized to the image's own size (bilinear; averaged where that is smaller).

    Attributes:
        stitch: Which stitch answered.
        values: `(H, W)` at the image's own height and width, `(outputs, H, W)` if there are several for each pixel; of
            a network that is not dense `(outputs,)`.
    """

    stitch: Stitch
    values: NDArray[np.float32]

    def picture(self, scale: float = DEPTH_SCALE) -> Image.Image:
        """Return a map `(H, W)` as a grey picture of 16 bits, in which a unit is `scale` steps and 0 is unknown.

        Args:
            scale: Steps for one unit.

        Raises:
            DataError: If there is more than one number for a pixel, or one is too large.
        """
        if self.values.ndim != 2:
            raise DataError(f"A picture has one number for each pixel, and these are {self.values.shape}; save .npy.")
        steps = np.nan_to_num(np.rint(self.values * scale), nan=0.0, neginf=0.0).clip(0)
        if steps.max(initial=0) > _SIXTEEN_BITS:
            largest = np.nanmax(self.values)
            raise DataError(
                f"Values up to {largest:g} at {scale:g} steps for a unit do not fit 16 bits; give a scale of "
                f"{_SIXTEEN_BITS / largest:.3g} or less, or save .npy, which keeps values as they are."
            )
        return Image.fromarray(steps.astype(np.uint16))

    def save(self, path: str | Path, *, scale: float = DEPTH_SCALE) -> Path:
        """Write the values as they are (`.npy`), or a map as a PNG of 16 bits that names its scale.

        Args:
            path: Ends with `.npy` or `.png`.
            scale: Steps of the PNG for one unit, also in its text `scale`.

        Raises:
            DataError: If the name ends otherwise, values do not fit 16 bits, or the file cannot be written.
        """
        if Path(path).suffix == ".npy":
            return _written(path, ".npy", lambda file: np.save(file, self.values))
        picture, text = self.picture(scale), PngInfo()
        text.add_text("scale", f"{scale:g}")
        return _written(path, ".png", lambda file: picture.save(file, "PNG", pnginfo=text))

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.values.shape))
        between = f"{self.values.min():.4g} to {self.values.max():.4g}"
        return f"MapPrediction({shape}: {between}, stitch={str(self.stitch)!r})"


def palette(count: int) -> list[tuple[int, int, int]]:
    """Return colors that are easily told apart: those of PASCAL VOC, of which the first is black.

    Args:
        count: How many, 256 at most.
    """

    def part(number: int, color: int) -> int:
        # Bits of the number are dealt out to red, green and blue, the first to the highest bit of each.
        return sum((number >> (3 * place + color) & 1) << (7 - place) for place in range(3))

    return [(part(number, 0), part(number, 1), part(number, 2)) for number in range(count)]


def pixel_answer(
    outputs: NDArray[Any], stitch: Stitch, spec: OutputSpec, size: tuple[int, int], classes: tuple[str, ...] | None
) -> MaskPrediction | MapPrediction:
    """Return what dense outputs of one image say.

    Args:
        outputs: `(outputs, h, w)`.
        stitch: What gave them.
        spec: What they mean.
        size: Height and width of the image.
        classes: Names of the classes, if known.
    """
    amounts = activated(outputs.astype(np.float32), spec)
    if spec.activation == "softmax":
        return MaskPrediction(stitch, _largest(amounts, size), len(outputs), classes)
    maps = np.stack([_resized(each, size) for each in amounts])
    return MapPrediction(stitch, maps[0] if len(maps) == 1 else maps)


def activated(outputs: NDArray[Any], spec: OutputSpec) -> NDArray[Any]:
    """Return outputs `(outputs, ...)` of one image as what people are told, see `OutputSpec`."""
    if spec.activation == "softmax":
        powers = np.exp(outputs - outputs.max(0, keepdims=True))
        outputs = powers / powers.sum(0, keepdims=True)
    elif spec.activation == "sigmoid":
        outputs = np.exp(-np.logaddexp(0, -outputs))
    elif spec.activation == "softplus":
        outputs = np.logaddexp(0, outputs)
    elif spec.activation == "exp":
        outputs = np.exp(outputs)
    return outputs


def _largest(maps: NDArray[np.float32], size: tuple[int, int]) -> NDArray[Any]:
    """Return which map is the largest at each pixel of another size; one after another, for all may not fit memory."""
    best = np.full(size, -1, np.float32)
    found = np.zeros(size, np.uint8 if len(maps) <= _INDEXED else np.uint16)
    for number, each in enumerate(maps):
        if each.max() < 0.99 / len(maps):
            continue  # all add up to one, so another is larger everywhere
        resized = _resized(each, size)
        found[resized > best] = number
        np.maximum(best, resized, out=best)
    return found


def _resized(values: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR), np.float32)


def _written(path: str | Path, suffix: str, write: Callable[[BinaryIO], object]) -> Path:
    target = Path(path)
    if target.suffix.lower() != suffix:
        raise DataError(f"{target} does not end with {suffix}; call it {target.stem}{suffix}.")
    try:
        with write_aside(target) as aside, aside.open("wb") as file:
            write(file)
    except OSError as error:
        raise DataError(f"{target} cannot be written ({error}); make room or choose another place.") from error
    return target
