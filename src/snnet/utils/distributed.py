"""Processes that work on one thing together: who is there, and what they tell each other.

All of them must make the same calls in the same order. In a process of its own every call returns at once.
"""

import re
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from accelerate import PartialState
from torch import Tensor

from snnet.errors import ProcessLostError
from snnet.utils.shares import WHOLE, Share, started_share

T = TypeVar("T")
# A float32 bucket is large enough for full bandwidth and small against the gradients themselves.
_BUCKET_NUMBERS = 2**24


def share() -> Share:
    """Return this process's number among those that have joined."""
    joined = dist.is_available() and dist.is_initialized()
    return Share(dist.get_rank(), dist.get_world_size()) if joined else WHOLE


def join(device: str | torch.device | None = None) -> Share:
    """Join the processes that the launcher started, if there are several; on GPUs each takes its own.

    Args:
        device: `cpu` talks through gloo even where there are GPUs.
    """
    if started_share().count > 1 and not dist.is_initialized():
        PartialState(cpu=str(device) == "cpu" or not torch.cuda.is_available())
    return share()


@contextmanager
def joined(device: str | torch.device | None = None) -> Iterator[Share]:
    """Join the others for the length of a block."""
    before = share().count
    try:
        yield join(device)
    finally:
        if share().count > before:
            dist.destroy_process_group()
            PartialState._reset_state()


def gather(value: T) -> list[T]:
    """Return the small picklable value of every process, in their order."""
    count = share().count
    if count == 1:
        return [value]
    values: list[T | None] = [None] * count
    with losing_none():
        dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]


def sum_numbers(values: Sequence[float]) -> list[float]:
    """Return the sums of float64 numbers, place by place."""
    if share().count == 1:
        return list(values)
    numbers = torch.tensor(values, dtype=torch.float64, device=_device())
    with losing_none():
        dist.all_reduce(numbers)
        return numbers.tolist()


def sum_tensors(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the sums of tensors; all processes give the same shapes and types. They are sent many at a time."""
    summed = list(tensors)
    for bucket in _buckets(tensors) if share().count > 1 else ():
        flat = torch.cat([tensors[place].reshape(-1) for place in bucket])
        with losing_none():
            dist.all_reduce(flat)
        parts = torch.split(flat, [tensors[place].numel() for place in bucket])
        for place, part in zip(bucket, parts, strict=True):
            summed[place] = part.view(tensors[place].shape)
    return summed


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
    tensors: list[Tensor] = []
    skeleton = from_first(lambda: _without_tensors(value, tensors))
    received = []
    for place in _places(skeleton):
        own = tensors[place.number] if share().is_first else torch.empty(place.shape, dtype=place.dtype)
        sent = own.detach().to(_device()).contiguous()
        with losing_none():
            dist.broadcast(sent, src=0)
        received.append(sent.cpu())
    return _with_tensors(skeleton, received)  # type: ignore[no-any-return]


def copy_from_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors with those of the first process."""
    if share().count == 1:
        return
    for tensor in tensors:
        sent = tensor.detach().to(_device()).contiguous()
        with losing_none():
            dist.broadcast(sent, src=0)
        tensor.detach().copy_(sent)


def wait() -> None:
    """Return once all processes have come here."""
    sum_numbers([0.0])


@contextmanager
def first_on_machine() -> Iterator[None]:
    """Let one process of each machine go through a block before the others, as for a download that they share."""
    if share().count == 1:
        yield
        return
    with PartialState().local_main_process_first():
        yield


@contextmanager
def losing_none() -> Iterator[None]:
    """Turn the many errors by which a lost connection shows itself into one.

    Raises:
        ProcessLostError: If another process has ended.
    """
    try:
        yield
    except RuntimeError as error:
        if share().count == 1 or isinstance(error, ProcessLostError) or not _is_connection(error):
            raise
        _outlive_the_launcher()
        here = share()
        # Without gloo's place in its source, and its guesses.
        reason = re.sub(r"^\[\S+\] ", "", str(error).splitlines()[0]).partition(". ")[0]
        raise ProcessLostError(
            f"Process {here.rank} of {here.count} lost the others: one of them has ended, and its own message, or the "
            f"kernel's log if it was killed, says why ({reason})."
        ) from error


def _outlive_the_launcher() -> None:
    # It ends all processes when one has ended; this one ends by itself once it has said what happened.
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _is_connection(error: RuntimeError) -> bool:
    if isinstance(error, dist.DistError):
        return True
    # gloo raises plain RuntimeErrors, from within the backward pass too.
    return any(word in str(error) for word in ("gloo", "Connection", "connection", "Broken pipe"))


def _device() -> torch.device:
    cuda = "nccl" in str(dist.get_backend())
    return torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[int]]:
    """Yield places of tensors of one type that are sent together."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        bucket: list[int] = []
        size = 0
        for place, tensor in enumerate(tensors):
            if tensor.dtype == dtype:
                if bucket and size + tensor.numel() > _BUCKET_NUMBERS:
                    yield bucket
                    bucket, size = [], 0
                bucket.append(place)
                size += tensor.numel()
        yield bucket


@dataclass(frozen=True)
class _Place:
    number: int
    shape: tuple[int, ...]
    dtype: torch.dtype


def _without_tensors(value: Any, tensors: list[Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors.append(value)
        return _Place(len(tensors) - 1, tuple(value.shape), value.dtype)
    if isinstance(value, Mapping):
        return {key: _without_tensors(item, tensors) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_without_tensors(item, tensors) for item in value)
    return value


def _places(value: Any) -> Iterator[_Place]:
    if isinstance(value, _Place):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _places(item)


def _with_tensors(value: Any, tensors: Sequence[Tensor]) -> Any:
    if isinstance(value, _Place):
        return tensors[value.number]
    if isinstance(value, Mapping):
        return {key: _with_tensors(item, tensors) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_with_tensors(item, tensors) for item in value)
    return value
