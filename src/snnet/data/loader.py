"""Batches that depend on nothing but seed, epoch and position, for exact resuming; and batches for evaluation."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from snnet.data.corrupt import CorruptImageError, SkippedImages
from snnet.data.images import ImageDataset, Sample, TensorImages, in_shards, size, skipped_images
from snnet.data.seeding import derive, generator, seeded
from snnet.data.sources import shuffled_places
from snnet.data.targets import stacked
from snnet.data.transforms import Batch, BatchAugment
from snnet.errors import DataError
from snnet.utils import WHOLE, Share, counted

# Keep the streams of random numbers of one epoch apart, and from that of the order.
_SAMPLE, _BATCH = 1, 2


class TrainBatches:
    """Shuffled training batches, the same for the same seed, epoch and position, whatever ran before.

    Neither the number of workers nor the batch at which an epoch is entered changes any image, and no global random
    state is touched. An incomplete last batch is dropped. An image that does not decode is replaced by the next one
    that does.

    Args:
        dataset: Yields `(image, label)`, or images with dense targets `(H, W)`; tensors in memory are gathered whole
            batches at a time, without workers.
        batch_size: Images per batch.
        seed: Of order and augmentation.
        augment: Applied to whole batches.
        workers: Processes that read images; 0 to read in this one.
        buffer: Images in the shuffle buffer of shards; None for the usual.

    Raises:
        DataError: If the data set has no places to draw from, is smaller than a batch, or lies in no shards, which
            `buffer` is for.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        batch_size: int,
        seed: int = 0,
        augment: BatchAugment | None = None,
        workers: int = 0,
        *,
        buffer: int | None = None,
    ) -> None:
        if isinstance(dataset, IterableDataset):
            raise DataError("An IterableDataset has no places to draw from; give a data set that can be indexed.")
        if buffer is not None and not in_shards(dataset):
            raise DataError(
                f"A shuffle buffer of {counted(buffer, 'image')} is for shards; this data is shuffled whole."
            )
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.augment, self.workers, self.buffer = augment, workers, buffer
        self.images = size(dataset)
        if not 1 <= batch_size <= self.images:
            raise DataError(
                f"A batch size of {batch_size} does not fit {counted(self.images, 'image')}; choose 1 to "
                f"{self.images}: batch_size={self.images} in Python, --data.batch-size {self.images} for a recipe."
            )

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return self.images // self.batch_size

    @property
    def skipped(self) -> SkippedImages:
        """The images met so far that do not decode."""
        return skipped_images(self.dataset)

    def epoch(self, epoch: int, start_batch: int = 0, share: Share = WHOLE) -> Iterator[Batch]:
        """Yield the batches of an epoch from number `start_batch` on, of each the share of one process.

        Images of other shares are not read; the shares together are the whole batch, to the last bit.

        Raises:
            DataError: If more images do not decode than the data set allows.
        """
        if isinstance(self.dataset, ImageDataset):
            order = self.dataset.source.shuffled(self.seed, epoch, self.buffer)
        else:
            order = shuffled_places(self.images, self.seed, epoch)
        picks = torch.split(order[: len(self) * self.batch_size], self.batch_size)[start_batch:]
        own = [pick[share.of(self.batch_size)] for pick in picks]
        for number, (images, labels) in enumerate(self._read(own, epoch), start_batch):
            if self.augment is not None:
                draws = generator(self.seed, epoch, number, _BATCH)
                images, labels = self.augment.with_targets(images, labels, draws, total=self.batch_size, share=share)
            yield images, labels

    def _read(self, picks: Sequence[Tensor], epoch: int) -> Iterator[Batch]:
        tensors = _in_memory(self.dataset)
        if tensors is not None:
            return ((tensors[0][pick], tensors[1][pick]) for pick in picks)
        return _load(_Samples(self.dataset, self.seed, epoch), picks, self.workers, self.skipped)


class EvalBatches:
    """All images in order, any number of times; those that do not decode are left out of their batch.

    Args:
        dataset: Yields `(image, label)`, or images with dense targets `(H, W)`.
        batch_size: Images per batch; the last one may have fewer.
        workers: Processes that read images; 0 to read in this one. Tensors in memory need none.
        share: Which part of the images comes. Of an `IterableDataset` it is a part of each batch, and all are read.
    """

    def __init__(self, dataset: Dataset[Any], batch_size: int, workers: int = 0, share: Share = WHOLE) -> None:
        if batch_size < 1:
            raise DataError(f"A batch size of {batch_size} is too small; choose at least 1.")
        self.dataset, self.batch_size, self.workers, self.share = dataset, batch_size, workers, share

    def __len__(self) -> int:
        """Return the number of batches; fewer come if all images of one do not decode."""
        streamed = isinstance(self.dataset, IterableDataset)
        own = size(self.dataset) if streamed else len(range(size(self.dataset))[self.share.of(size(self.dataset))])
        return -(-own // self.batch_size)

    def of(self, share: Share) -> "EvalBatches":
        """Return the part of these batches that falls to one process."""
        return EvalBatches(self.dataset, self.batch_size, self.workers, share)

    @property
    def images(self) -> int:
        """Number of images of all shares, without those that are known not to decode."""
        return size(self.dataset) - len(self.skipped)

    @property
    def skipped(self) -> SkippedImages:
        """The images met so far that do not decode."""
        return skipped_images(self.dataset)

    def __iter__(self) -> Iterator[Batch]:
        """Yield `(images, labels)`.

        Raises:
            DataError: If more images do not decode than the data set allows.
        """
        tensors = _in_memory(self.dataset)
        if tensors is not None:
            own = self.share.of(len(tensors[1]))
            return zip(*(torch.split(part[own], self.batch_size) for part in tensors), strict=True)
        if isinstance(self.dataset, IterableDataset):
            whole = DataLoader(self.dataset, self.batch_size, generator=torch.Generator())
            return ((x[self.share.of(len(y))], y[self.share.of(len(y))]) for x, y in whole)
        total = size(self.dataset)
        picks = torch.split(torch.arange(total)[self.share.of(total)], self.batch_size)
        return _load(_Samples(self.dataset), picks, self.workers, self.skipped)


def eval_batches(dataset: Dataset[Any], batch_size: int, workers: int = 0) -> EvalBatches:
    """Return all images in order as batches that can be gone through again and again."""
    return EvalBatches(dataset, batch_size, workers)


@dataclass(frozen=True)
class _Read:
    # What came of one place of the data set: a sample, if any, and the images that did not decode on the way; or why
    # nothing can be read. An error that is raised in a worker would come with the worker's traceback in its words.
    faults: Mapping[int, str]
    sample: Sample | None = None
    error: str | None = None


class _Samples(Dataset[_Read]):
    """The images of a data set; or, with the numbers of an epoch, varied ones, or else the next that decodes."""

    def __init__(self, dataset: Dataset[Any], *epoch: int) -> None:
        self.dataset, self.epoch = dataset, epoch

    def __getitem__(self, index: int) -> _Read:
        faults: dict[int, str] = {}
        total = size(self.dataset)
        for place in range(index, index + (total if self.epoch else 1)):
            try:
                with seeded(derive(*self.epoch, index, _SAMPLE)) if self.epoch else nullcontext():
                    return _Read(faults, self.dataset[place % total])
            except CorruptImageError as error:
                faults[place % total] = str(error)
            except DataError as error:
                return _Read(faults, error=str(error))
        return _Read(faults)


def _load(samples: Dataset[_Read], picks: Sequence[Tensor], workers: int, skipped: SkippedImages) -> Iterator[Batch]:
    # The loader's own generator keeps it from drawing a seed from the global one.
    loader = DataLoader(
        samples,
        batch_sampler=[pick.tolist() for pick in picks],
        num_workers=workers,
        collate_fn=_collate,
        generator=torch.Generator(),
    )
    for batch, faults, error in loader:
        if error is not None:
            raise DataError(error)
        skipped.add(faults)
        if batch is not None:
            yield batch
    skipped.report()
    if len(skipped) == skipped.total:
        raise DataError(f"None of the {counted(skipped.total, 'image')} decodes; the first: {skipped.reasons[0]}")


def _collate(reads: Sequence[_Read]) -> tuple[Batch | None, dict[int, str], str | None]:
    error = next((read.error for read in reads if read.error is not None), None)
    faults = {place: reason for read in reads for place, reason in read.faults.items()}
    samples = [read.sample for read in reads if read.sample is not None]
    if not samples:
        return None, faults, error
    images, labels = zip(*samples, strict=True)
    return (torch.stack(images), stacked(labels)), faults, error


def _in_memory(dataset: Dataset[Any]) -> Batch | None:
    if isinstance(dataset, TensorImages):
        return dataset.images, dataset.labels
    if isinstance(dataset, TensorDataset) and len(dataset.tensors) == 2:
        return dataset.tensors[0], dataset.tensors[1]
    return None
