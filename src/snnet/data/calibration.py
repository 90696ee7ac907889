"""Clean images of all classes, for least squares."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from snnet.data.corrupt import CorruptImageError
from snnet.data.images import ImageDataset, Sample, TensorImages, in_shards, size, skipped_images
from snnet.data.seeding import generator
from snnet.data.targets import is_dense, stacked
from snnet.errors import DataError

# In shards, how many images may be decoded for one that is taken.
_LOOKS = 10


def calibration_images(dataset: Dataset[Any], count: int, seed: int = 0) -> Tensor:
    """Return `count` images without augmentation, `(count, C, H, W)`, equally many of each class as far as they go.

    The choice depends on the seed alone. Where labels cannot be told without reading images, they are drawn from
    all images alike; in shards, from the first of a shuffled order. Images that do not decode are passed over. Fewer
    come if the data set has no more.

    Raises:
        DataError: If there is no image, or the data set is somebody's own `IterableDataset`.
    """
    return labelled_images(dataset, count, seed)[0]


def labelled_images(dataset: Dataset[Any], count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return what `calibration_images` does, and the labels `(count,)`, or masks or depth maps `(count, H, W)`."""
    if isinstance(dataset, IterableDataset):
        raise DataError("Calibration images cannot be drawn from an IterableDataset, which has no order of its own.")
    clean = dataset.clean() if isinstance(dataset, (ImageDataset, TensorImages)) else dataset
    order = _balanced_order(clean, seed)
    if isinstance(clean, TensorImages):
        return clean.images[order[:count]], torch.as_tensor(clean.labels)[order[:count]]
    taken = _take(clean, order, count)
    if not taken:
        raise DataError(f"There is no calibration image: {count} were asked for, of {size(clean)} images.")
    images, labels = zip(*taken, strict=True)
    return torch.stack(images), stacked(labels)


def _balanced_order(dataset: Dataset[Any], seed: int) -> list[int]:
    if in_shards(dataset):
        places: list[int] = dataset.source.shuffled(seed, 0).tolist()
        return places
    shuffled: list[int] = torch.randperm(size(dataset), generator=generator(seed)).tolist()
    labels = getattr(dataset, "labels", None)
    if labels is None or is_dense(labels):
        return shuffled
    # Round after round, one image of each class that has any left.
    of = torch.as_tensor(labels).tolist()
    met: dict[int, int] = {}
    rounds: dict[int, int] = {}
    for index in shuffled:
        rounds[index] = met[of[index]] = met.get(of[index], -1) + 1
    return sorted(shuffled, key=rounds.__getitem__)


def _take(dataset: Dataset[Any], order: Iterable[int], count: int) -> list[Sample]:
    """Return the first images that decode, with their labels, and count the others.

    In shards only reading an image tells its label. There those of a class that has its share are passed over at first,
    until `_LOOKS` times the images that are wanted have been looked at.
    """
    classes = len(dataset.classes) if in_shards(dataset) else 0
    share = -(-count // classes) if classes else count
    taken: Counter[int] = Counter()
    images: list[Sample] = []
    over: list[Sample] = []
    faults: dict[int, str] = {}
    for index in order:
        if len(images) == count or len(images) + len(over) == _LOOKS * count:
            break
        try:
            sample = dataset[index]
        except CorruptImageError as error:
            faults[index] = str(error)
            continue
        if classes:
            taken[int(sample[1])] += 1
        (images if not classes or taken[int(sample[1])] <= share else over).append(sample)
    skipped = skipped_images(dataset)
    skipped.add(faults)
    skipped.report()
    return (images + over)[:count]
