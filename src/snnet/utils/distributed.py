# Tested in tests/training/test_spread.py.
"""Processes that work on one thing together: who is there, and what they tell each other.

All of them must make the same calls in the same order. In a process of its own every call returns at once.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, _utils
from torch.distributed.rendezvous import rendezvous
from torch.utils._pytree import tree_map_only

from snnet.errors import ProcessLostError
from snnet.utils.shares import WHOLE, Share, outlive_the_launcher, started_share

T = TypeVar("T")
# Large enough for full bandwidth, and small against the gradients themselves.
_BUCKET_BYTES = 2**26
_groups = count()
_dense: Any = _utils  # torch gives these no types
_c10d: Any = dist


def share() -> Share:
    """Return this process's number among those that have joined."""
    joined = dist.is_available() and dist.is_initialized()
    return Share(dist.get_rank(), dist.get_world_size()) if joined else WHOLE


@contextmanager
def joined(device: str | torch.device | None = None) -> Iterator[Share]:
    """Join the processes that the launcher started, if there are several, for the length of a block.

    A group that is there already is used, and stays. On GPUs each process takes its own.

    Args:
        device: `cpu` talks through gloo even where there are GPUs.
    """
    started = started_share()
    if started.count == 1 or dist.is_initialized():
        yield share()
        return
    on_cpu = str(device) == "cpu" or not torch.cuda.is_available()
    if not on_cpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    # Each group has names of its own in the store, where those of the last one still lie.
    store = _c10d.PrefixStore(f"snnet/{next(_groups)}", _store())
    dist.init_process_group("gloo" if on_cpu else "nccl", store=store, rank=started.rank, world_size=started.count)
    try:
        yield share()
    finally:
        dist.destroy_process_group()


@cache
def _store() -> Any:
    store, _, _ = next(iter(rendezvous("env://")))
    return store


def gather(value: T) -> list[T]:
    """Return the small picklable value of every process, in their order."""
    values: list[Any] = [value] * share().count
    if len(values) > 1:
        with losing_none():
            dist.all_gather_object(values, value)
    return values


def sum_numbers(values: Sequence[float]) -> list[float]:
    """Return the sums of float64 numbers, place by place."""
    if share().count == 1:
        return list(values)
    numbers = torch.tensor(values, dtype=torch.float64, device=_device())
    with losing_none():
        dist.all_reduce(numbers)
        return numbers.tolist()


def sum_tensors(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return the sums of tensors; all processes give the same shapes and types. They are sent many at a time."""
    if share().count == 1:
        return tensors
    summed: list[Tensor] = []
    for bucket in _dense._take_tensors(tensors, _BUCKET_BYTES):
        flat = _dense._flatten_dense_tensors(bucket)
        with losing_none():
            dist.all_reduce(flat)
        summed += _dense._unflatten_dense_tensors(flat, bucket)
    ordered: Sequence[Tensor] = _dense._reorder_tensors_as(summed, tensors)
    return ordered


def from_first(call: Callable[[], T]) -> T:
    """Let the first process make a call, and give its picklable result, or its exception, to all."""
    if share().count == 1:
        return call()
    outcome: list[Any] = [None, None]
    if share().is_first:
        try:
            outcome[0] = call()
        except Exception as error:
            outcome[1] = error
    with losing_none():
        dist.broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]  # type: ignore[no-any-return]


def broadcast(value: T) -> T:
    """Return the first process's nested dicts and sequences of tensors (then on the CPU) and plain values.

    Tensors travel as they are: pickling gigabytes of weights would take them several times over.
    """
    if share().count == 1:
        return value
    shapes = from_first(lambda: tree_map_only(Tensor, lambda tensor: tensor.detach().to("meta"), value))
    given = value if share().is_first else shapes
    whole: T = tree_map_only(Tensor, lambda tensor: _sent(tensor).cpu(), given)
    return whole


def copy_from_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors with those of the first process."""
    for tensor in tensors if share().count > 1 else ():
        tensor.detach().copy_(_sent(tensor))


def _sent(tensor: Tensor) -> Tensor:
    """Return the first process's tensor; that of another may be on the meta device, for its shape and type."""
    own = torch.empty(tensor.shape, dtype=tensor.dtype) if tensor.is_meta else tensor.detach()
    sent = own.to(_device()).contiguous()
    with losing_none():
        dist.broadcast(sent, src=0)
    return sent


@contextmanager
def first_on_machine() -> Iterator[None]:
    """Let one process of each machine go through a block before the others, as for a download that they share."""
    waits = share().count > 1 and int(os.environ.get("LOCAL_RANK", "0")) > 0
    if waits:
        sum_numbers([0.0])
    try:
        yield
    finally:
        if not waits:
            sum_numbers([0.0])


@contextmanager
def losing_none() -> Iterator[None]:
    """Turn the many errors by which a lost connection shows itself into one.

    Raises:
        ProcessLostError: If another process has ended.
    """
    try:
        yield
    except RuntimeError as error:
        # gloo raises plain RuntimeErrors, from within the backward pass too.
        words = ("gloo", "Connection", "connection", "Broken pipe")
        lost = isinstance(error, dist.DistError) or any(word in str(error) for word in words)
        if share().count == 1 or isinstance(error, ProcessLostError) or not lost:
            raise
        outlive_the_launcher()
        here = share()
        # Without gloo's place in its source, and its guesses.
        reason = re.sub(r"^\[\S+\] ", "", str(error).splitlines()[0]).partition(". ")[0]
        raise ProcessLostError(
            f"Process {here.rank} of {here.count} lost the others: one of them has ended, and its own message, or the "
            f"kernel's log if it was killed, says why ({reason})."
        ) from error


def _device() -> torch.device:
    cuda = "nccl" in str(dist.get_backend())
    return torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")
