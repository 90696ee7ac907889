"""torch's own `DataLoader`, read so that a run can resume on it exactly."""

import logging
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, RandomSampler, default_collate

from snnet.data import TrainBatches
from snnet.errors import DataError
from snnet.training.stream import Batches

_FIX = "give Trainer snnet.data.TrainBatches(dataset, batch_size) instead"
_log = logging.getLogger(__name__)


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
