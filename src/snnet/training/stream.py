"""Endless training batches, step by step, from any point of the run."""

from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from torch import Tensor

from snnet.errors import DataError
from snnet.utils import WHOLE, Share

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
                f"Epoch {epoch} gave {given} batches from number {first} on where {len(batches) - first} were "
                "expected; a run could not be resumed on such data."
            )
        epoch, first = epoch + 1, 0
