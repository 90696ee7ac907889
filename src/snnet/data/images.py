"""Data sets of normalized image tensors, as training and evaluation read them."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from snnet.data.corrupt import CorruptImageError, SkippedImages
from snnet.data.pictures import check_channels
from snnet.data.sources import ArraySource, ImageSource, SourcePart
from snnet.data.streams import Order, RawImage, StreamSource
from snnet.data.transforms import Transform
from snnet.errors import DataError
from snnet.space import InputSpec

Sample = tuple[Tensor, int]
"""An image `(C, H, W)` and its label."""


class ImageDataset(Dataset[Sample]):
    """Images read one at a time.

    Indexing gives `(image, label)`, and raises `CorruptImageError` for an image that does not decode; `TrainBatches`
    and `eval_batches` skip such images and count them in `skipped`.

    Args:
        source: Where the images come from.
        transform: From PIL image to tensor.
        clean: The same without augmentation.
        max_corrupt: Most images that may be skipped; by default one in a hundred, and at least 10.
    """

    def __init__(
        self, source: ImageSource, transform: Transform, clean: Transform, max_corrupt: int | None = None
    ) -> None:
        self.source, self.transform, self.clean_transform = source, transform, clean
        self.classes = source.classes
        self.labels = source.labels
        self.max_corrupt = max_corrupt
        self.skipped = SkippedImages(len(source), max_corrupt)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        image, label = self.source.read(index)
        _check_label(label, self.classes)
        return self.transform(image), label

    def clean(self) -> "ImageDataset":
        """Return the same images without augmentation; skipped images are counted together."""
        twin = ImageDataset(self.source, self.clean_transform, self.clean_transform)
        twin.skipped = self.skipped
        return twin

    def some(self, places: Sequence[int]) -> "ImageDataset":
        """Return the images at these places only."""
        return ImageDataset(SourcePart(self.source, places), self.transform, self.clean_transform, self.max_corrupt)


class TensorImages(Dataset[Sample]):
    """Images in memory, ready for the network: the fast path for small images.

    Attributes:
        images: Normalized floats `(N, C, H, W)`.
        labels: `(N,)`.
        classes: Names of the classes.
    """

    def __init__(self, images: Tensor, labels: Tensor, classes: Sequence[str]) -> None:
        self.images, self.labels, self.classes = images, labels, tuple(classes)

    @classmethod
    def of(cls, source: ArraySource, spec: InputSpec) -> "TensorImages":
        """Return the images of a source, as they are but for channels and normalization."""
        pixels = source.channels(check_channels(spec)).float().div_(255)
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (spec.mean, spec.std))
        return cls(pixels.sub_(mean).div_(std), torch.tensor(source.labels), source.classes)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Sample:
        return self.images[index], int(self.labels[index])

    def clean(self) -> "TensorImages":
        """Return itself: augmentation happens per batch."""
        return self

    def some(self, places: Sequence[int]) -> "TensorImages":
        """Return the images at these places only."""
        chosen = torch.as_tensor(places)
        return TensorImages(self.images[chosen], self.labels[chosen], self.classes)


class StreamImages(IterableDataset[Sample]):
    """Images that are read in sequence.

    Iterating gives `(image, label)` in the order in which they lie, and raises `CorruptImageError` for an image that
    does not decode; `StreamBatches` and `eval_batches` skip such images and count them in `skipped`.

    Args:
        source: Where the images come from.
        transform: From PIL image to tensor.
        clean: The same without augmentation.
        max_corrupt: Most images that may be skipped; by default one in a hundred, and at least 10.
        images: How many there are, or how many of them make one epoch; None to ask the source.
        places: Positions of those to take, ascending; None for all.
    """

    def __init__(
        self,
        source: StreamSource,
        transform: Transform,
        clean: Transform,
        max_corrupt: int | None = None,
        *,
        images: int | None = None,
        places: Sequence[int] | None = None,
    ) -> None:
        self.source, self.transform, self.clean_transform = source, transform, clean
        self.max_corrupt, self.places = max_corrupt, places
        self.classes = source.classes
        self._images = images if places is None else len(places)

    def __len__(self) -> int:
        if self._images is None:
            self._images = len(self.source)
        return self._images

    def __iter__(self) -> Iterator[Sample]:
        return (self.load(raw) for _, raw in self.read())

    @cached_property
    def skipped(self) -> SkippedImages:
        """The images met so far that do not decode."""
        return SkippedImages(len(self), self.max_corrupt)

    def read(self, order: Order | None = None, start: int = 0) -> Iterator[tuple[int, RawImage]]:
        """Yield positions and images from position `start` on, decoding none."""
        raw = enumerate(self.source.images(order, start), start)
        chosen = None if self.places is None else set(self.places)
        return raw if chosen is None else (pair for pair in raw if pair[0] in chosen)

    def load(self, raw: RawImage, transform: Transform | None = None) -> Sample:
        """Decode one of the images.

        Args:
            raw: Which one.
            transform: Another one than that of the data set.

        Raises:
            CorruptImageError: If it does not decode.
            DataError: If its label is missing or outside the classes.
        """
        label = raw.label()
        _check_label(label, self.classes, raw.name)
        return (transform or self.transform)(raw.decode()), label

    def name_classes(self, count: int) -> None:
        """Name the classes by their numbers, if the source does not tell them."""
        self.classes = self.classes or tuple(map(str, range(count)))

    def some(self, places: Sequence[int]) -> "StreamImages":
        """Return the images at these positions only, ascending, clean and in the order in which they lie."""
        clean = self.clean_transform
        part = StreamImages(self.source, clean, clean, self.max_corrupt, places=tuple(places))
        part.classes = self.classes
        return part


def read_or_fault(dataset: Dataset[Sample], index: int) -> Sample | str:
    """Return a sample, or why the image does not decode."""
    try:
        return dataset[index]
    except CorruptImageError as error:
        return str(error)


def size(dataset: Any) -> int:
    """Return the number of images; torch's `Dataset` declares no length."""
    return len(dataset)


def same_size(source: ArraySource, spec: InputSpec) -> bool:
    """Return whether the images of a source have the network's height and width already."""
    return tuple(source.pixels.shape[1:3]) == tuple(spec.size[1:])


def _check_label(label: int, classes: Sequence[str], name: str = "") -> None:
    # A stream may not know its classes.
    if label < 0 or (classes and label >= len(classes)):
        where = f" of {name}" if name else ""
        accepted = f"0 to {len(classes) - 1}" if classes else "0 and up"
        raise DataError(f"Label {label}{where} is outside {accepted}; is this split of the data labeled?")


def check_batch_size(batch_size: int, images: int) -> None:
    """Refuse training batches that hold no image, or more than there are.

    Raises:
        DataError: The message says what fits, and how to set it.
    """
    if not 1 <= batch_size <= images:
        raise DataError(
            f"A batch size of {batch_size} does not fit {images} images; choose 1 to {images}: "
            f"batch_size={images} in Python, --data.batch-size {images} for a recipe."
        )
