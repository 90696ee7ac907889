# Tested in tests/data/test_datasets.py.
"""Where images come from: one abstract class, and the registry of its kinds."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, TypeAlias

import torch
from PIL import Image
from torch import Tensor

from snnet.data.seeding import generator
from snnet.data.targets import TargetKind, TargetSettings, target_kind
from snnet.data.walk import Identity
from snnet.errors import DataError
from snnet.utils import Registry

# Keeps the order apart from the other random numbers of an epoch.
_ORDER = 0


def shuffled_places(count: int, seed: int, epoch: int) -> Tensor:
    """Return the numbers from 0 to `count` shuffled, for one epoch."""
    return torch.randperm(count, generator=generator(seed, epoch, _ORDER))


class ImageSource(ABC):
    """Images with labels, or other targets, that can be read in any order.

    Attributes:
        target: What comes with each image.
        classes: Names of the classes, and the label is the position; empty where the source does not tell them.
        labels: Label of each image, or None where there are none or that takes reading the images.
        faults: Why images do not decode, of those for which that is known before they are read, by their places.
        left_out: How many files that lie there are not read, by their endings.
        folder: That which holds all images, where one does.
        folders: All folders that were searched, as `Found.folders` has them.
        layout: What lies in such a folder, and how splits of it would lie.
        in_shards: Whether images lie in shards that are best read after each other, as `shuffled` puts them.
    """

    classes: tuple[str, ...]
    in_shards: ClassVar[bool] = False
    target: TargetKind = "label"
    labels: Sequence[int] | None = None
    faults: Mapping[int, str] = MappingProxyType({})
    left_out: Mapping[str, int] = MappingProxyType({})
    folder: Path | None = None
    folders: Mapping[Identity, Path] = MappingProxyType({})
    layout: ClassVar[tuple[str, str]] = ("classes", "train/CLASS and validation/CLASS")

    def __len__(self) -> int:
        """Return the number of images: of labels, where they are known."""
        assert self.labels is not None
        return len(self.labels)

    @abstractmethod
    def read(self, index: int) -> tuple[Image.Image, int | Tensor]:
        """Return an image, decoded, and its label, or its mask (int64) or depth map (float32), `(H, W)`.

        Raises:
            CorruptImageError: If it does not decode.
            DataError: If it cannot be read.
        """

    def describe(self, index: int) -> str:
        """Return what to call an image in messages."""
        return f"image {index}"

    def in_memory(self, size: tuple[int, int]) -> "ArraySource | None":  # noqa: ARG002
        """Return the same images in memory, if they have this height and width and may be held there."""
        return None

    def shuffled(self, seed: int, epoch: int, buffer: int | None = None) -> Tensor:  # noqa: ARG002
        """Return the places of all images in the order of an epoch, a function of these numbers alone.

        Args:
            seed: Of the run.
            epoch: Which pass.
            buffer: Images in the shuffle buffer of shards; None for the usual.
        """
        return shuffled_places(len(self), seed, epoch)

    def hold_out(self) -> "tuple[SourcePart, SourcePart]":
        """Split into training and validation images, where a folder holds no splits."""
        raise NotImplementedError

    def without(self, places: Iterable[int]) -> "tuple[SourcePart, SourcePart]":
        """Return all images but some, and those, both in their order."""
        held = set(places)
        return SourcePart(self, [place for place in range(len(self)) if place not in held]), SourcePart(
            self, sorted(held)
        )


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
        self.left_out, self.target = whole.left_out, whole.target

    def __len__(self) -> int:
        return len(self.places)

    def read(self, index: int) -> tuple[Image.Image, int | Tensor]:
        """Return an image and its target."""
        return self.whole.read(self.places[index])

    def describe(self, index: int) -> str:
        """Return what to call an image in messages."""
        return self.whole.describe(self.places[index])


class ArraySource(ImageSource):
    """Images of one size, in memory.

    Args:
        pixels: uint8, `(N, H, W)` or `(N, H, W, 3)`.
        labels: One per image; or masks or depth maps `(N, H, W)`.
        classes: Names of the classes.
    """

    def __init__(self, pixels: Tensor, labels: Sequence[int] | Tensor, classes: Sequence[str]) -> None:
        self.pixels, self.targets, self.classes = pixels, torch.as_tensor(labels), tuple(classes)
        self.target = target_kind(self.targets)
        self.labels = tuple(self.targets.tolist()) if self.target == "label" else None

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, index: int) -> tuple[Image.Image, int | Tensor]:
        """Return an image and its target."""
        target: int | Tensor = self.targets[index]
        if self.target != "depth":
            target = int(target) if self.target == "label" else self.targets[index].long()
        return Image.fromarray(self.pixels[index].numpy()), target

    def in_memory(self, size: tuple[int, int]) -> "ArraySource | None":
        """Return itself, if the images have this height and width."""
        return self if self.pixels.shape[1:3] == size else None

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
        target: What is to come with each image.
        size: Height and width that the network takes, for images that are made and not read.
    """

    name: str
    root: Path | None
    split: str
    download: bool
    target: TargetSettings = field(default_factory=TargetSettings)
    size: tuple[int, int] | None = None

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

    def check_target(self, name: str, *kinds: TargetKind) -> None:
        """Refuse targets that there are not.

        Args:
            name: Of the data set.
            kinds: Targets that there are.

        Raises:
            DataError: If others are asked for.
        """
        if self.target.kind not in kinds:
            ways = " or ".join(f"target={kind!r}" for kind in kinds)
            raise DataError(f"{name} has no targets of kind {self.target.kind!r}; open it with {ways}.")


Opener: TypeAlias = Callable[[Request], ImageSource]

SOURCES: Registry[Opener] = Registry(
    "data set",
    group="snnet.data",
    modules=[f"snnet.data.{name}" for name in ("embedded", "folder", "hf", "scenes", "torchvision", "wds")],
)
"""First part of a data set's name -> what opens it."""
