"""How often classes occur in masks, and what each should weigh."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from snnet.data.images import ImageDataset, TensorImages
from snnet.data.loader import eval_batches
from snnet.data.targets import IGNORED
from snnet.errors import DataError


def class_weights(dataset: Dataset[Any], classes: int, workers: int = 0) -> Tensor:
    """Return a weight for the loss of each class, `(classes,)`, by which rare classes count as much as others.

    By median frequency (Eigen and Fergus, arXiv 1411.4734): the frequency of a class is its share of the pixels of
    images in which it occurs, and its weight the median of all frequencies divided by that. What is ignored counts for
    nothing. A class that never occurs weighs 1. All masks are read once, clean.

    Args:
        dataset: Yields images and masks `(H, W)`.
        classes: How many there are.
        workers: Processes that read images; 0 to read in this one.

    Raises:
        DataError: If these are no masks, or one has a class beyond `classes` that is not ignored.
    """
    clean = dataset.clean() if isinstance(dataset, (ImageDataset, TensorImages)) else dataset
    pixels, around = torch.zeros(classes, dtype=torch.int64), torch.zeros(classes, dtype=torch.int64)
    for _, masks in eval_batches(clean, 64, workers):
        if masks.ndim != 3 or masks.is_floating_point():
            raise DataError(f"Weights of classes need masks (B, H, W), whole numbers, got {masks.dtype} {masks.shape}.")
        counts = torch.stack([_counts(mask, classes) for mask in masks])
        pixels += counts.sum(0)
        around += torch.where(counts > 0, counts.sum(1, keepdim=True), 0).sum(0)
    present = pixels > 0
    frequencies = pixels[present].double() / around[present]
    weights = torch.ones(classes)
    if present.any():
        weights[present] = (frequencies.quantile(0.5) / frequencies).float()
    return weights


def _counts(mask: Tensor, classes: int) -> Tensor:
    known = mask[mask != IGNORED]
    if known.numel() and not 0 <= int(known.min()) <= int(known.max()) < classes:
        raise DataError(f"A mask has classes {int(known.min())} to {int(known.max())}; accepted: 0 to {classes - 1}.")
    return torch.bincount(known, minlength=classes)
