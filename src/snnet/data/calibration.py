"""Clean images of all classes, for least squares."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from snnet.data.corrupt import SkippedImages
from snnet.data.images import ImageDataset, TensorImages, read_or_fault, size
from snnet.data.seeding import generator
from snnet.errors import DataError


def calibration_images(dataset: Dataset[Any], count: int, seed: int = 0) -> Tensor:
    """Return `count` images without augmentation, `(count, C, H, W)`, equally many of each class as far as they go.

    The choice depends on the seed alone. Where labels cannot be told without reading images, they are drawn from
    all images alike. Images that do not decode are passed over. Fewer come if the data set has no more.

    Raises:
        DataError: If there is no image, or the data set is a stream.
    """
    if isinstance(dataset, IterableDataset):
        raise DataError("Calibration images cannot be drawn from a stream; use indexed data.")
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
