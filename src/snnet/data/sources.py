# Tested in tests/data/test_datasets.py.
"""Where images come from: one abstract class, and the registry of its kinds."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, TypeAlias

import torch
from PIL import Image
from torch import Tensor

from snnet.data.seeding import generator
from snnet.errors import DataError
from snnet.utils import Registry

# Keeps the order apart from the other random numbers of an epoch.
_ORDER = 0


def shuffled_places(count: int, seed: int, epoch: int) -> Tensor:
    """Return the numbers from 0 to `count` shuffled, for one epoch."""
    return torch.randperm(count, generator=generator(seed, epoch, _ORDER))


class ImageSource(ABC):
    """Labelled images that can be read in any order.

    Attributes:
        classes: Names of the classes, and the label is the position; empty where the source does not tell them.
        labels: Label of each image, or None where that takes reading the images.
        faults: Why images do not decode, of those for which that is known before they are read, by their places.
        left_out: How many files that lie there are not read, by their endings.
        in_shards: Whether images lie in shards that are best read after each other, as `shuffled` puts them.
    """

    classes: tuple[str, ...]
    in_shards: ClassVar[bool] = False
    labels: Sequence[int] | None = None
    faults: Mapping[int, str] = MappingProxyType({})
    left_out: Mapping[str, int] = MappingProxyType({})

    def __len__(self) -> int:
        """Return the number of images: of labels, where they are known."""
        assert self.labels is not None
        return len(self.labels)

    @abstractmethod
    def read(self, index: int) -> tuple[Image.Image, int]:
        """Return an image, decoded, and its label.

        Raises:
            CorruptImageError: If it does not decode.
            DataError: If it cannot be read.
        """

    def describe(self, index: int) -> str:
        """Return what to call an image in messages."""
        return f"image {index}"

    def shuffled(self, seed: int, epoch: int, buffer: int | None = None) -> Tensor:  # noqa: ARG002
        """Return the places of all images in the order of an epoch, a function of these numbers alone.

        Args:
            seed: Of the run.
            epoch: Which pass.
            buffer: Images in the shuffle buffer of shards; None for the usual.
        """
        return shuffled_places(len(self), seed, epoch)


class SourcePart(ImageSource):
    """Some of the images of a source.

    Args:
        whole: All of them.
        places: Which ones, in the order that they shall have here.
    """

    def __init__(self, whole: ImageSource, places: Sequence[int]) -> None:
        self.whole, self.places, self.classes = whole, tuple(places), whole.classes
        labels = whole.labels
        self.labels = None if labels is None else [labels[place] for place in self.places]
        known = whole.faults
        self.faults = {new: known[old] for new, old in enumerate(self.places) if old in known} if known else known
        self.left_out = whole.left_out

    def __len__(self) -> int:
        return len(self.places)

    def read(self, index: int) -> tuple[Image.Image, int]:
        """Return an image and its label."""
        return self.whole.read(self.places[index])

    def describe(self, index: int) -> str:
        """Return what to call an image in messages."""
        return self.whole.describe(self.places[index])


class ArraySource(ImageSource):
    """Images of one size, in memory.

    Args:
        pixels: uint8, `(N, H, W)` or `(N, H, W, 3)`.
        labels: One per image.
        classes: Names of the classes.
    """

    labels: Sequence[int]

    def __init__(self, pixels: Tensor, labels: Sequence[int], classes: Sequence[str]) -> None:
        self.pixels, self.labels, self.classes = pixels, tuple(labels), tuple(classes)

    def read(self, index: int) -> tuple[Image.Image, int]:
        """Return an image and its label."""
        return Image.fromarray(self.pixels[index].numpy()), self.labels[index]

    def channels(self, count: int) -> Tensor:
        """Return all pixels with 1 or 3 channels, `(N, count, H, W)`; grey as Pillow computes it."""
        pixels = self.pixels[:, None] if self.pixels.ndim == 3 else self.pixels.permute(0, 3, 1, 2)
        if count == 1 and pixels.shape[1] == 3:
            weights = torch.tensor([19595, 38470, 7471]).view(1, 3, 1, 1)
            return ((pixels * weights).sum(1, keepdim=True) + 0x8000 >> 16).to(torch.uint8)
        return pixels.expand(-1, count, -1, -1)


@dataclass(frozen=True)
class Request:
    """What is asked of a kind of source.

    Attributes:
        name: What follows the first `/` of the data set's name; empty where there is none.
        root: Folder of the data.
        split: `train` or `validation`.
        download: Whether the data may be fetched over the network.
    """

    name: str
    root: Path | None
    split: str
    download: bool

    def folder(self, kind: str) -> Path:
        """Return the root.

        Raises:
            DataError: If none was given or it is no folder.
        """
        if self.root is None:
            raise DataError(f"Data {kind!r} needs root=, the folder that holds it.")
        if not self.root.is_dir() and not self.download:
            what = "is a file, not a folder" if self.root.exists() else "does not exist"
            raise DataError(f"Data folder {self.root} {what}; give the folder that holds the data as root=.")
        return self.root


Opener: TypeAlias = Callable[[Request], ImageSource]

SOURCES: Registry[Opener] = Registry(
    "data set",
    group="snnet.data",
    modules=[f"snnet.data.{name}" for name in ("embedded", "folder", "hf", "torchvision", "wds")],
)
"""First part of a data set's name -> what opens it."""
