# Tested in tests/data/test_datasets.py.
"""Data sets of normalized image tensors, as training and evaluation read them, and the names of their classes."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from itertools import zip_longest
from operator import length_hint
from typing import Any, TypeAlias, TypeGuard

import torch
from torch import Tensor
from torch.utils.data import Dataset

from snnet.data.corrupt import CorruptImageError, SkippedImages
from snnet.data.dense import CleanPair, PairTransform
from snnet.data.names import look_alikes
from snnet.data.pictures import check_channels
from snnet.data.sources import ArraySource, ImageSource, SourcePart
from snnet.data.targets import IGNORED, TargetKind, target_kind
from snnet.data.transforms import Transform
from snnet.errors import DataError
from snnet.space import InputSpec

Sample = tuple[Tensor, int | Tensor]
"""An image `(C, H, W)` and its label, or its mask or depth map `(H, W)`."""


class ImageDataset(Dataset[Sample]):
    """Images read one at a time.

    Indexing gives `(image, label)`, or an image with its mask (int64) or depth map (float32), `(H, W)`, and raises
    `CorruptImageError` for an image that does not decode; `TrainBatches` and `eval_batches` skip such images and count
    them in `skipped`.

    Args:
        source: Where the images come from.
        transform: From PIL image to tensor; with dense targets, from both to both.
        clean: The same without augmentation.
        max_corrupt: Most images that may be skipped; by default one in a hundred, and at least 10.

    Raises:
        DataError: If more than that are known not to decode before any is read.
    """

    def __init__(
        self,
        source: ImageSource,
        transform: Transform | PairTransform,
        clean: Transform | PairTransform,
        max_corrupt: int | None = None,
    ) -> None:
        self.source, self.transform, self.clean_transform = source, transform, clean
        self.classes = source.classes
        self.labels = source.labels
        self.max_corrupt = max_corrupt
        self.skipped = SkippedImages(len(source), max_corrupt)
        self.skipped.add(source.faults)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        image, target = self.source.read(index)
        transform: Callable[..., Any] = self.transform
        if isinstance(target, Tensor):
            self._check_mask(index, target)
            varied: Sample = transform(image, target)
            return varied
        # A source may not know its classes.
        if target < 0 or (self.classes and target >= len(self.classes)):
            accepted = f"0 to {len(self.classes) - 1}" if self.classes else "0 and up"
            where = self.source.describe(index)
            raise DataError(f"Label {target} of {where} is outside {accepted}; is this split of the data labeled?")
        return transform(image), target

    def _check_mask(self, index: int, mask: Tensor) -> None:
        if not self.classes or mask.is_floating_point():
            return
        lowest, highest = map(int, mask.masked_fill(mask == IGNORED, 0).aminmax())
        if lowest < 0 or highest >= len(self.classes):
            wrong = lowest if lowest < 0 else highest
            raise CorruptImageError(
                f"{self.source.describe(index)} (class {wrong} in its mask) does not decode: classes are 0 to "
                f"{len(self.classes) - 1}"
            )

    def name_classes(self, count: int) -> None:
        """Name the classes by their numbers, if there are any and the source does not tell them."""
        if self.source.target != "depth":
            self.classes = self.classes or tuple(map(str, range(count)))

    def clean(self) -> "ImageDataset":
        """Return the same images without augmentation; skipped images are counted together."""
        twin = copy(self)
        twin.transform = self.clean_transform
        return twin

    def whole(self) -> "ImageDataset":
        """Return pictures that just cover what the network takes, uncropped, with targets at their own size.

        Raises:
            DataError: If images come with labels.
        """
        twin = self.clean()
        if not isinstance(self.clean_transform, CleanPair):
            raise DataError("Whole pictures are for masks and depth maps; labels come with one crop of each.")
        twin.transform = replace(self.clean_transform, whole=True)
        return twin

    def some(self, places: Sequence[int]) -> "ImageDataset":
        """Return the images at these places only."""
        part = ImageDataset(SourcePart(self.source, places), self.transform, self.clean_transform, self.max_corrupt)
        part.classes = self.classes
        return part


class TensorImages(Dataset[Sample]):
    """Images in memory, ready for the network: the fast path for small images.

    Attributes:
        images: Normalized floats `(N, C, H, W)`.
        labels: `(N,)`; or masks (int64) or depth maps (float32), `(N, H, W)`.
        classes: Names of the classes; empty for depth.
    """

    def __init__(self, images: Tensor, labels: Tensor, classes: Sequence[str]) -> None:
        self.images, self.labels, self.classes = images, labels, tuple(classes)

    @classmethod
    def of(cls, source: ArraySource, spec: InputSpec) -> "TensorImages":
        """Return the images of a source, as they are but for channels and normalization."""
        pixels = source.channels(check_channels(spec)).float().div_(255)
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (spec.mean, spec.std))
        targets = source.targets if source.target == "depth" else source.targets.long()
        return cls(pixels.sub_(mean).div_(std), targets, source.classes)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Sample:
        target = self.labels[index]
        return self.images[index], target if target.ndim or target.is_floating_point() else int(target)

    def clean(self) -> "TensorImages":
        """Return itself: augmentation happens per batch."""
        return self

    def whole(self) -> "TensorImages":
        """Return itself: all images have the network's size."""
        return self

    def some(self, places: Sequence[int]) -> "TensorImages":
        """Return the images at these places only."""
        chosen = torch.as_tensor(places)
        return TensorImages(self.images[chosen], self.labels[chosen], self.classes)


Images: TypeAlias = ImageDataset | TensorImages
"""A split of a data set, whichever way it is read."""


def target_of(dataset: Images) -> TargetKind:
    """Return what comes with the images of a data set."""
    return dataset.source.target if isinstance(dataset, ImageDataset) else target_kind(dataset.labels)


def in_shards(dataset: Any) -> TypeGuard[ImageDataset]:
    """Return whether the images of a data set lie in shards, which are shuffled through a buffer."""
    return isinstance(dataset, ImageDataset) and dataset.source.in_shards


def size(dataset: Any) -> int:
    """Return the number of images; torch's `Dataset` declares no length."""
    return len(dataset)


def skipped_images(dataset: Any) -> SkippedImages:
    """Return the images of a data set that did not decode so far; other people's raise no such error and have none."""
    found = getattr(dataset, "skipped", None)
    return found if isinstance(found, SkippedImages) else SkippedImages(length_hint(dataset))


def class_name(name: object) -> str:
    """Return a class's name as text; ImageNet's classes in torchvision are tuples of synonyms."""
    return ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def classes_of(data: object) -> tuple[str, ...] | None:
    """Return the classes that a data set names, or the one that batches, a loader or a subset read; None if none does.

    Names are not trusted where a `target_transform` gives the labels another meaning.
    """
    if data is None or getattr(data, "target_transform", None) is not None:
        return None
    named = getattr(data, "classes", None)
    if isinstance(named, list | tuple) and named:
        return tuple(map(class_name, named))
    return classes_of(getattr(data, "dataset", None))


def check_classes(known: Sequence[str] | None, found: Sequence[str] | None) -> None:
    """Refuse data whose classes are not those of a network in the same order; unknown names agree with any.

    Args:
        known: The network's classes.
        found: The data's.

    Raises:
        DataError: At the first class that differs, which is named.
    """
    if known is None or found is None:
        return
    for number, names in enumerate(zip_longest(known, found)):
        if names[0] != names[1]:
            ours, theirs = ("missing" if name is None else repr(name) for name in names)
            alike = "".join(f" ({how})" for how in look_alikes([names[0] or ""], [names[1] or ""]))
            raise DataError(
                f"The data has other classes than the network, or another order: class {number} is {ours} in the "
                f"network and {theirs} in the data{alike}. Use data with the network's classes in its order; if they "
                "are the same classes under other names, load the network in Python, set net.classes to the data's and "
                "save it again."
            )
