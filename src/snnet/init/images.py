"""Calibration images: from a tensor or a loader to checked batches of bounded size."""

from collections.abc import Iterable, Iterator, Sized
from typing import Any

import torch
from torch import Tensor

from snnet.errors import DataError
from snnet.network import check_images


def image_batches(
    images: Iterable[Any], size: tuple[int, int, int], batch_size: int, max_images: int | None = None
) -> Iterator[Tensor]:
    """Yield calibration images `(N, C, H, W)`, from a tensor or of batches with or without labels, in smaller batches.

    Raises:
        DataError: If there is no image, or one that is not a finite float tensor of that size.
    """
    seen = 0
    for item in [images] if isinstance(images, Tensor) else images:
        given = item[0] if isinstance(item, (tuple, list)) and len(item) else item
        batch = check_images(given, size, "Calibration images")
        if not bool(torch.isfinite(batch).all()):
            raise DataError("A batch of calibration images holds NaN or infinity; give finite numbers.")
        batch = batch if max_images is None else batch[: max_images - seen]
        seen += len(batch)
        yield from (part for part in torch.split(batch, batch_size) if len(part))
        if max_images is not None and seen >= max_images:
            break
    if not seen:
        raise DataError("There are no calibration images: the loader or tensor is empty; give at least one image.")


def count_images(images: Iterable[Any], max_images: int | None) -> int:
    """Return how many images there will be, 0 if that cannot be told beforehand."""
    counted = images if isinstance(images, Tensor) else getattr(images, "dataset", None)
    if not isinstance(counted, Sized):
        return max_images or 0
    return len(counted) if max_images is None else min(len(counted), max_images)
