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
    """Yield calibration images in batches of bounded size.

    Args:
        images: A tensor `(N, C, H, W)`, or an iterable of such tensors or of `(images, labels)`.
        size: `(C, H, W)` that the anchors take.
        batch_size: Largest batch; larger ones are split.
        max_images: Stop after this many.

    Raises:
        DataError: If there is no image, or one that is not a finite float tensor of that size.
    """
    seen = 0
    for item in [images] if isinstance(images, Tensor) else images:
        batch = _checked(item[0] if isinstance(item, (tuple, list)) and len(item) else item, size)
        batch = batch if max_images is None else batch[: max_images - seen]
        seen += len(batch)
        yield from (part for part in torch.split(batch, batch_size) if len(part))
        if max_images is not None and seen >= max_images:
            break
    if not seen:
        raise DataError("There are no calibration images: the loader or tensor is empty; give at least one image.")


def count_images(images: Iterable[Any], max_images: int | None) -> int:
    """Return how many images there will be, 0 if that cannot be told beforehand."""
    dataset = getattr(images, "dataset", None)
    if isinstance(images, Tensor):
        count = len(images)
    elif isinstance(dataset, Sized):
        count = len(dataset)
    else:
        return max_images or 0
    return count if max_images is None else min(count, max_images)


def _checked(batch: Any, size: tuple[int, int, int]) -> Tensor:
    images = check_images(batch, size, "Calibration images")
    if not bool(torch.isfinite(images).all()):
        raise DataError("A batch of calibration images holds NaN or infinity; give finite numbers.")
    return images
