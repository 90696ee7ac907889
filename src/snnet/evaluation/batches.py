"""Data that can be read several times, and a fingerprint by which a later run knows it again."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, TypeAlias, TypeVar, cast

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import Dataset, TensorDataset

from snnet.data import EvalBatches, eval_batches
from snnet.errors import DataError
from snnet.evaluation.windows import Windows, own_sized
from snnet.tasks import Classification, Task
from snnet.utils import WHOLE, Share, counted, gather

T = TypeVar("T")
Batch: TypeAlias = tuple[Tensor, Tensor]
_NO_IMAGES = "The data has no images; evaluation needs at least one batch of (images, labels)."
Data: TypeAlias = Iterable[Sequence[Tensor]] | Dataset[Any] | tuple[Tensor, Tensor]


@dataclass(slots=True)
class Fingerprint:
    """Facts about a data set that do not depend on the order or size of its batches.

    Attributes:
        task: Says what targets are.
        outputs: Width of the network's outputs.
        labels: Number of images of each class, or what `Task.tally` says of other targets; empty before any data.
        images: Number of images.
        pixels: Checksum of the pixels' bit patterns, their places, and the target each image has.
    """

    task: Task
    outputs: int
    labels: list[int] = field(default_factory=list)
    images: int = 0
    pixels: int = 0

    def add(self, images: Tensor, targets: Tensor) -> Tensor:
        """Take images `(B, C, H, W)` and targets `(B, ...)` into account; return a checksum of each, `(B,)`."""
        self.images += len(targets)
        self.labels = _added(self.labels, self.task.tally(targets, self.outputs).tolist())
        checksums = _checksums(images) * (2 * self.task.digests(targets) + 1)
        self.pixels = (self.pixels + int(checksums.sum())) % 2**64
        return checksums

    def to_dict(self) -> dict[str, Any]:
        """Return short plain values, as they are written into a table's facts."""
        labels = hashlib.sha256(str(self.labels).encode()).hexdigest()[:16]
        return {"images": self.images, "labels": labels, "pixels": f"{self.pixels:016x}"}


class Batches:
    """Batches with targets that can be gone through any number of times, each checked against the task.

    Args:
        data: A `DataLoader` or other iterable of `(images, targets)`, a `Dataset` of such pairs, or two tensors.
        outputs: Width of the network's outputs, such as the number of classes.
        batch_size: For a data set or two tensors; other iterables have their own.
        share: The part that comes. Of a data set or tensors only this part is read; other iterables are read whole,
            must give the same batches in every process, and are divided within each batch.
        task: Says what targets are; labels of one class each if None.
        windows: Whether pictures come whole, one by one; one crop of each if None.

    Raises:
        DataError: If the data can be read only once.
    """

    def __init__(
        self,
        data: Data,
        outputs: int,
        batch_size: int,
        share: Share = WHOLE,
        task: Task | None = None,
        windows: Windows | None = None,
    ) -> None:
        self.task, self.outputs, self.share = task or Classification(), outputs, share
        self.windows = windows or Windows()
        self._source = _reiterable(self.windows.pictures(data), batch_size if self.windows.kind == "none" else 1)
        self._divides = share != WHOLE and not isinstance(self._source, EvalBatches)
        if share != WHOLE and isinstance(self._source, EvalBatches):
            self._source = self._source.of(share)
        self._count: int | None = None
        self._order = 0

    def __iter__(self) -> Iterator[Batch]:
        """Yield `(images, targets)`.

        Raises:
            DataError: If there is no image, or if images or targets do not fit.
        """
        count = self._order = 0
        for batch in self._source:
            images, targets = self._checked(batch)
            if self._divides:
                images, targets = self._own_part(images, targets)
            if len(targets):
                count += 1
                yield images, targets
        if not count and self.share == WHOLE:
            raise DataError(_NO_IMAGES)
        self._count = count

    def _checked(self, batch: Any) -> Batch:
        is_pair = isinstance(batch, tuple | list) and len(batch) == 2 and all(isinstance(p, Tensor) for p in batch)
        if self.windows.kind == "none" or not is_pair:
            return self.task.checked(batch, self.outputs)
        images, targets = batch
        return images, self.task.checked((own_sized(images, targets), targets), self.outputs)[1]

    def _own_part(self, images: Tensor, targets: Tensor) -> Batch:
        places = torch.arange(1, len(targets) + 1, device=images.device)
        self._order = hash((self._order, len(targets), int((_checksums(images) * places).sum())))
        own = self.share.of(len(targets))
        return images[own], targets[own]

    def count(self) -> int:
        """Return the number of batches, reading all of them once where the source does not tell."""
        if self._count is None:
            try:
                self._count = len(self._source)  # type: ignore[arg-type]
            except TypeError:
                self._count = sum(1 for _ in self)
        return self._count

    def fingerprint(self) -> Fingerprint:
        """Return the fingerprint of all data, which takes one pass."""
        found = Fingerprint(self.task, self.outputs)
        for images, targets in self:
            found.add(images, targets)
        return self.together(found)

    def gathered(self, own: T) -> list[T]:
        """Return the small picklable value of each process that has a part of the images, in their order."""
        return [own] if self.share == WHOLE else gather(own)

    def together(self, own: Fingerprint) -> Fingerprint:
        """Return the fingerprint of what all processes have seen in one pass, once each has made it.

        Raises:
            DataError: If that is nothing, other than each image once, or has too many images that do not decode.
        """
        if isinstance(self._source, EvalBatches):
            for faults in gather(self._source.skipped.faults):
                self._source.skipped.add(faults)
        # An order of their own in each process would leave out some images and count others twice.
        if len(set(gather(self._order))) > 1:
            raise DataError(
                "The data comes in another order in each process, so that their parts do not add up; turn off "
                "shuffling, or give a Dataset, of which each process reads a part."
            )
        parts = gather(own)
        labels = _added(*(part.labels for part in parts))
        images, pixels = (sum(getattr(part, name) for part in parts) for name in ("images", "pixels"))
        seen = Fingerprint(self.task, self.outputs, labels, images, pixels % 2**64)
        if not seen.images:
            raise DataError(_NO_IMAGES)
        return seen


def _added(*counts: Sequence[int]) -> list[int]:
    """Return sums place by place; what has seen nothing has no places yet."""
    return [sum(found) for found in zip_longest(*counts, fillvalue=0)]


def _checksums(images: Tensor) -> Tensor:
    # One number per image. Weights that grow along rows and columns tell an image from its mirror image; taking
    # two pixels as one integer is five times faster than one.
    even = pad(images.detach().float(), (0, images.shape[-1] % 2)).contiguous()
    sums = [even.view(torch.int64).sum(other) for other in ((1, 3), (1, 2))]
    rows, columns = ((part * torch.arange(1, 2 * part.shape[1], 2, device=part.device)).sum(1) for part in sums)
    return rows + 3 * columns


def _reiterable(data: Data, batch_size: int) -> Iterable[Any]:
    if isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(part, Tensor) for part in data):
        images, targets = cast(Batch, tuple(data))
        if len(images) != len(targets):
            raise DataError(
                f"The batch has {counted(len(images), 'image')} but {counted(len(targets), 'label')}; give one label "
                "per image."
            )
        return eval_batches(TensorDataset(images, targets), batch_size)
    if isinstance(data, Dataset):
        return eval_batches(data, batch_size)
    if not isinstance(data, Iterable):
        raise DataError(
            f"Data of type {type(data).__name__} cannot be evaluated; give a DataLoader or list of "
            "(images, labels) batches, a Dataset, or two tensors (images, labels)."
        )
    if isinstance(data, Iterator):
        raise DataError(
            f"Data of type {type(data).__name__} can be read only once, but evaluation goes through it several "
            "times; give a DataLoader, a Dataset, or list(batches)."
        )
    return data
