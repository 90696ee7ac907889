"""Data sets of normalized image tensors, as training and evaluation read them."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from snnet.data.corrupt import CorruptImageError, SkippedImages
from snnet.data.sources import ArraySource, ImageSource, Stream
from snnet.data.transforms import Transform, check_channels
from snnet.errors import DataError
from snnet.specs import InputSpec

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


class StreamImages(IterableDataset[Sample]):
    """Images that can only be read in their order, for evaluation.

    Args:
        stream: Yields PIL images and labels.
        transform: From PIL image to tensor.
        name: What to call it in messages.
    """

    def __init__(self, stream: Stream, transform: Transform, name: str) -> None:
        self.stream, self.transform, self.name = stream, transform, name
        positions = getattr(getattr(stream, "reader", None), "class_to_idx", None) or {}
        self.classes = tuple(sorted(positions, key=positions.__getitem__))

    def __iter__(self) -> Iterator[Sample]:
        for image, label in self.stream:
            yield self.transform(image), int(label)


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


def _check_label(label: int, classes: Sequence[str]) -> None:
    if not 0 <= label < len(classes):
        raise DataError(f"Label {label} is outside 0 to {len(classes) - 1}; is this split of the data labeled?")
