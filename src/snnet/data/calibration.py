"""Clean images of all classes, for least squares."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from snnet.data.corrupt import CorruptImageError, SkippedImages
from snnet.data.images import ImageDataset, StreamImages, TensorImages, read_or_fault, size
from snnet.data.seeding import generator
from snnet.data.streams import Order, RawImage
from snnet.errors import DataError


def calibration_images(dataset: Dataset[Any], count: int, seed: int = 0) -> Tensor:
    """Return `count` images without augmentation, `(count, C, H, W)`, equally many of each class as far as they go.

    The choice depends on the seed alone. Where labels cannot be told without reading images, they are drawn from
    all images alike; of a stream, they are the first in a shuffled order. Images that do not decode are passed over.
    Fewer come if the data set has no more.

    Raises:
        DataError: If there is no image, or the data set is somebody's own `IterableDataset`.
    """
    if isinstance(dataset, StreamImages):
        return _from_stream(dataset, count, seed)
    if isinstance(dataset, IterableDataset):
        raise DataError("Calibration images cannot be drawn from an IterableDataset, which has no order of its own.")
    clean = dataset.clean() if isinstance(dataset, (ImageDataset, TensorImages)) else dataset
    order = _balanced_order(size(clean), getattr(clean, "labels", None), seed)
    if isinstance(clean, TensorImages):
        return clean.images[order[:count]]
    images: list[Tensor] = []
    faults: dict[int, str] = {}
    for index in order:
        if len(images) == count:
            break
        sample = read_or_fault(clean, index)
        if isinstance(sample, str):
            faults[index] = sample
        else:
            images.append(sample[0])
    _count_faults(clean, faults)
    if not images:
        raise DataError(f"There is no calibration image: {count} were asked for, of {size(clean)} images.")
    return torch.stack(images)


def _from_stream(stream: StreamImages, count: int, seed: int) -> Tensor:
    images: list[Tensor] = []
    faults: dict[Any, str] = {}
    for raw in _balanced_first(stream, count, seed):
        if len(images) == count:
            break
        try:
            images.append(stream.load(raw, stream.clean_transform)[0])
        except CorruptImageError as error:
            faults[raw.place] = str(error)
    if faults:
        _count_faults(stream, faults)
    if not images:
        raise DataError(f"There is no calibration image: {count} were asked for, of {stream.source.name}.")
    return torch.stack(images)


def _balanced_first(stream: StreamImages, count: int, seed: int) -> Iterator[RawImage]:
    # Up to the share of each class first, then those that were passed over.
    share = -(-count // len(stream.classes)) if stream.classes else count
    taken: Counter[int] = Counter()
    over: list[RawImage] = []
    for _, raw in stream.read(Order(seed, 0)):
        label = raw.label()
        taken[label] += 1
        if taken[label] <= share:
            yield raw
        elif len(over) < count:
            over.append(raw)
    yield from over


def _balanced_order(total: int, labels: Sequence[int] | Tensor | None, seed: int) -> list[int]:
    shuffled: list[int] = torch.randperm(total, generator=generator(seed)).tolist()
    if labels is None:
        return shuffled
    # Round after round, one image of each class that has any left.
    of = torch.as_tensor(labels).tolist()
    met: dict[int, int] = {}
    rounds: dict[int, int] = {}
    for index in shuffled:
        rounds[index] = met[of[index]] = met.get(of[index], -1) + 1
    return sorted(shuffled, key=rounds.__getitem__)


def _count_faults(dataset: Any, faults: dict[int, str]) -> None:
    skipped = getattr(dataset, "skipped", None)
    if isinstance(skipped, SkippedImages):
        skipped.add(faults)
        skipped.report()
