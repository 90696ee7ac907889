"""What training reads: endless batches from any point of the run, of torch's own `DataLoader` too."""

import logging
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, default_collate

from snnet.data import TrainBatches
from snnet.errors import DataError
from snnet.utils import WHOLE, Share, counted

_FIX = "give Trainer snnet.data.TrainBatches(dataset, batch_size) instead"
_log = logging.getLogger(__name__)
Batch = tuple[Tensor, Tensor]
"""Images `(B, C, H, W)` and their labels `(B,)`."""


class Batches(Protocol):
    """What training reads from: batches that depend on nothing but their epoch and position."""

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""

    def epoch(self, epoch: int, start_batch: int = 0, share: Share = WHOLE) -> Iterator[Batch]:
        """Yield the batches of an epoch from number `start_batch` on, of each the share of one process."""


def step_batches(
    batches: Batches, accumulation: int, start_step: int, share: Share = WHOLE
) -> Iterator[tuple[Batch, ...]]:
    """Yield the `accumulation` batches of each step from `start_step` on, epoch after epoch, without end.

    Of each batch only one process's share comes. Batches that know of no shares do in a process that works alone.

    Raises:
        DataError: If an epoch has fewer batches than it says.
    """
    stream = _endless(batches, start_step * accumulation, share)
    while True:
        yield tuple(islice(stream, accumulation))


def _endless(batches: Batches, start: int, share: Share) -> Iterator[Batch]:
    if len(batches) < 1:
        raise DataError("There is no batch to train on: the data set is smaller than one batch.")
    epoch, first = divmod(start, len(batches))
    while True:
        given = 0
        for batch in batches.epoch(epoch, first) if share == WHOLE else batches.epoch(epoch, first, share):
            yield batch
            given += 1
        if given != len(batches) - first:
            raise DataError(
                f"Epoch {epoch} gave {counted(given, 'batch')} from number {first} on where {len(batches) - first} "
                "were expected; a run could not be resumed on such data."
            )
        epoch, first = epoch + 1, 0


def as_batches(given: "Batches | DataLoader[Any]", seed: int) -> Batches:
    """Return training batches as they are, and a `DataLoader` as batches that depend on their position alone.

    A loader goes on where an iterator of it stands, which no checkpoint knows. So only its data set, batch size and
    number of workers are taken over; order and augmentation come from `seed`, as `TrainBatches` draws them, and an
    incomplete last batch is left out.

    Args:
        given: What the user handed to the trainer.
        seed: Of order and augmentation, where `given` is a loader.

    Raises:
        DataError: If it is neither, or a loader that reads in a way of its own: without shuffling, with a sampler,
            or with a `collate_fn`.
    """
    if callable(getattr(given, "epoch", None)):
        return given  # type: ignore[return-value]
    if not isinstance(given, DataLoader):
        raise DataError(
            f"Trainer cannot read a {type(given).__name__}: it has no method epoch(epoch, start_batch), by which a run "
            f"resumes; {_FIX}."
        )
    faults = list(_faults(given))
    if faults:
        raise DataError(f"A run could not resume exactly on this DataLoader: {'; '.join(faults)}; {_FIX}.")
    assert given.batch_size is not None
    batches = TrainBatches(given.dataset, given.batch_size, seed, workers=given.num_workers)
    left_out = len(given) - len(batches)
    if left_out:
        _log.warning("The incomplete last batch of each epoch of this DataLoader is left out, as with drop_last=True.")
    return batches


def _faults(loader: "DataLoader[Any]") -> Iterator[str]:
    if loader.collate_fn is not default_collate:
        yield f"it has a collate_fn of its own ({getattr(loader.collate_fn, '__name__', loader.collate_fn)})"
    sampler = loader.sampler
    if isinstance(loader.dataset, IterableDataset):
        yield f"its data set ({type(loader.dataset).__name__}) is a stream, not indexed"
    elif loader.batch_size is None:
        yield "it has a batch_sampler, or makes no batches"
    elif type(sampler) is not RandomSampler:
        yield f"its order is that of a {type(sampler).__name__}, not that of shuffle=True"
    elif sampler.replacement or sampler.num_samples != len(loader.dataset):  # type: ignore[arg-type]
        yield "its RandomSampler does not take every image once"
