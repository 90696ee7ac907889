"""Batches of images that are read in sequence, the same for the same seed, epoch and position."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from snnet.data.augment import BatchAugment
from snnet.data.corrupt import CorruptImageError, SkippedImages
from snnet.data.images import Sample, StreamImages, check_batch_size
from snnet.data.seeding import derive, generator, seeded
from snnet.data.streams import Order, RawImage
from snnet.errors import DataError
from snnet.utils import WHOLE, Share

Batch = tuple[Tensor, Tensor]
"""Images `(B, C, H, W)` and labels `(B,)`."""

# Keep the streams of random numbers of one epoch apart.
_SAMPLE, _BATCH = 21, 22


class StreamBatches:
    """Shuffled training batches of a stream, the same for the same seed, epoch and position, whatever ran before.

    The order is that of the source. Neither the number of workers nor the batch at which an epoch is entered changes
    any image, and no global random state is touched; what comes before that batch is not decoded. An incomplete last
    batch is dropped. An image that does not decode is replaced by the next one that does.

    Args:
        images: The stream.
        batch_size: Images per batch, of all processes together.
        seed: Of order and augmentation.
        augment: Applied to whole batches.
        workers: Processes that read images; 0 to read in this one.
        buffer: Images in the shuffle buffer; None for what suits the source.

    Raises:
        DataError: If the stream is smaller than a batch.
    """

    def __init__(
        self,
        images: StreamImages,
        batch_size: int,
        seed: int = 0,
        augment: BatchAugment | None = None,
        workers: int = 0,
        *,
        buffer: int | None = None,
    ) -> None:
        self.dataset, self.batch_size, self.seed = images, batch_size, seed
        self.augment, self.workers, self.buffer = augment, workers, buffer
        self.images = len(images)
        check_batch_size(batch_size, self.images)

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return self.images // self.batch_size

    @property
    def skipped(self) -> SkippedImages:
        """The images met so far that do not decode."""
        return self.dataset.skipped

    def epoch(self, epoch: int, start_batch: int = 0, share: Share = WHOLE) -> Iterator[Batch]:
        """Yield the batches of an epoch from number `start_batch` on, of each the share of one process.

        Images of other shares are not decoded; the shares together are the whole batch, to the last bit.

        Raises:
            DataError: If more images do not decode than the data set allows, there are fewer than there should be, or
                a batch has fewer images than there are processes.
        """
        if share.count > self.batch_size:
            raise DataError(f"A batch of {self.batch_size} images cannot be shared by {share.count} processes.")
        order = Order(self.seed, epoch, self.buffer)
        numbers = range(start_batch, len(self))
        parts = _Parts(self.dataset, self.batch_size, numbers, share, order, start_batch * self.batch_size)
        for number, batch in enumerate(_load(parts, self.workers, self.skipped), start_batch):
            if batch is None:
                raise DataError(_none_decodes(self.skipped))
            yield self._augmented(batch, epoch, number, share)

    def _augmented(self, batch: Batch, epoch: int, number: int, share: Share) -> Batch:
        if self.augment is None:
            return batch
        images, labels = batch
        draws = generator(self.seed, epoch, number, _BATCH)
        return self.augment(images, draws, total=self.batch_size, share=share), labels


def eval_stream(images: StreamImages, batch_size: int, workers: int = 0, share: Share = WHOLE) -> Iterator[Batch]:
    """Yield all images of a stream in the order in which they lie; those that do not decode are left out.

    Of each batch, only one process's share comes.

    Raises:
        DataError: If more images do not decode than the data set allows.
    """
    parts = _Parts(images, batch_size, count(), share)
    return (batch for batch in _load(parts, workers, images.skipped) if batch is not None)


@dataclass(frozen=True)
class _Part:
    # What one worker read of one batch: positions in the batch, and what came of them.
    positions: list[int]
    images: Tensor | None
    labels: list[int]
    faults: dict[tuple[int, ...], str]
    error: str | None = None


class _Parts(IterableDataset[_Part]):
    """One part of each batch per worker.

    Every worker goes through the whole order, which costs little, and reads and decodes its own lanes only.
    """

    def __init__(
        self,
        images: StreamImages,
        batch_size: int,
        numbers: Iterable[int],
        share: Share,
        order: Order | None = None,
        start: int = 0,
    ) -> None:
        self.images, self.batch_size, self.numbers = images, batch_size, numbers
        self.order, self.start = order, start
        self.own = range(batch_size)[share.of(batch_size)]
        # Fixed here, where failing is simple: workers of their own cannot count what they skip together.
        self.limit = images.skipped.limit

    def __iter__(self) -> Iterator[_Part]:
        ahead = _Ahead(self.images.read(self.order, self.start))
        for number in self.numbers:
            try:
                part = self._part(ahead, number)
            except DataError as error:
                # torch would wrap its words into the traceback of the worker.
                part = _Part([], None, [], {}, str(error))
            if part is None:
                return
            yield part

    def _part(self, ahead: "_Ahead", number: int) -> _Part | None:
        faults: dict[tuple[int, ...], str] = {}
        found: dict[int, Sample] = {}
        place = -1
        for place, raw in enumerate(islice(ahead, self.batch_size)):
            if place in self.own and self._is_mine(raw, place):
                sample = self._load(raw, ahead, faults)
                if sample is not None:
                    found[place] = sample
        if self.order is None and place < 0:
            return None
        if self.order is not None and place + 1 < self.batch_size:
            raise DataError(_too_few(self.images, number * self.batch_size + place + 1))
        images = torch.stack([image for image, _ in found.values()]) if found else None
        return _Part(list(found), images, [label for _, label in found.values()], faults)

    def _is_mine(self, raw: RawImage, place: int) -> bool:
        worker = get_worker_info()
        if worker is None:
            return True
        by_lane = self.order is not None and self.images.source.lanes >= worker.num_workers
        return (raw.lane if by_lane else place) % worker.num_workers == worker.id

    def _load(self, raw: RawImage, ahead: "_Ahead", faults: dict[tuple[int, ...], str]) -> Sample | None:
        if self.order is None:
            return self._decode(raw, faults)
        others = chain(ahead.peek(), self._again())
        with seeded(derive(self.order.seed, self.order.epoch, raw.key, _SAMPLE)):
            for candidate in islice(chain([raw], others), len(self.images)):
                sample = self._decode(candidate, faults)
                if sample is not None or len(faults) > self.limit:
                    return sample
        return None

    def _decode(self, raw: RawImage, faults: dict[tuple[int, ...], str]) -> Sample | None:
        try:
            return self.images.load(raw)
        except CorruptImageError as error:
            faults[raw.place] = str(error)
            return None

    def _again(self) -> Iterator[RawImage]:
        # After the last image comes the first.
        return (raw for _, raw in self.images.read(self.order))


class _Ahead(Iterator[RawImage]):
    """Images one after the other, with a look at those that are yet to come."""

    def __init__(self, images: Iterator[tuple[int, RawImage]]) -> None:
        self._images = images
        self._waiting: deque[RawImage] = deque()

    def __next__(self) -> RawImage:
        return self._waiting.popleft() if self._waiting else next(self._images)[1]

    def peek(self) -> Iterator[RawImage]:
        """Yield what comes next without taking it."""
        yield from list(self._waiting)
        for _, raw in self._images:
            self._waiting.append(raw)
            yield raw


def _load(parts: _Parts, workers: int, skipped: SkippedImages) -> Iterator[Batch | None]:
    # The loader's own generator keeps it from drawing a seed from the global one. It asks worker after worker in
    # turn, and each gives one part of each batch.
    loader = DataLoader(parts, batch_size=None, num_workers=workers, generator=torch.Generator())
    coming = iter(loader)
    while together := list(islice(coming, max(1, workers))):
        yield _merged(together, skipped)
    skipped.report()
    if len(skipped) == skipped.total:
        raise DataError(_none_decodes(skipped))


def _merged(parts: Sequence[_Part], skipped: SkippedImages) -> Batch | None:
    for part in parts:
        if part.error is not None:
            raise DataError(part.error)
        skipped.add(part.faults)
    images = [part.images for part in parts if part.images is not None]
    if not images:
        return None
    order = torch.tensor([position for part in parts for position in part.positions]).argsort()
    labels = torch.tensor([label for part in parts for label in part.labels])
    return torch.cat(images)[order], labels[order]


def _none_decodes(skipped: SkippedImages) -> str:
    return f"None of the {skipped.total} images decodes; the first: {skipped.reasons[0]}"


def _too_few(images: StreamImages, found: int) -> str:
    return (
        f"{images.source.name} ended after {found} images where {len(images)} were expected; "
        "correct data.images or the shard_lengths of the info file."
    )
