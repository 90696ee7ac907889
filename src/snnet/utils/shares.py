"""What a process knows of those started with it: its part of the work, and how it may end when one of them is lost."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from snnet.errors import SNNetError

_speaks_last: ContextVar[bool] = ContextVar("speaks_last", default=False)


@dataclass(frozen=True)
class Share:
    """Process `rank` of `count`, and the part of anything countable that falls to it.

    Attributes:
        rank: Number of the process, from 0.
        count: How many processes there are.
    """

    rank: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.count:
            raise SNNetError(f"There is no process {self.rank} of {self.count}; they are numbered from 0.")

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and speaks for all."""
        return self.rank == 0

    def of(self, total: int) -> slice:
        """Return this process's contiguous part of `total` things; the parts cover all of them once.

        Parts of an even number are even wherever each process can have two, so that mixup can pair images; otherwise
        they differ by one at most.
        """
        unit = 2 if total % 2 == 0 and total >= 2 * self.count else 1
        start, stop = (total // unit * rank // self.count * unit for rank in (self.rank, self.rank + 1))
        return slice(start, stop)


WHOLE = Share()
"""The share of a process that works alone."""


def started_share() -> Share:
    """Return what the launcher (`torchrun`, `accelerate launch`) told this process, without joining the others."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    return Share(int(os.environ.get("RANK", "0")), count) if count > 1 else WHOLE


@contextmanager
def last_words() -> Iterator[None]:
    """Let a program say within the block why it ends, though the launcher ends it with SIGTERM."""
    main = threading.current_thread() is threading.main_thread()
    free = main and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    token = _speaks_last.set(free)
    try:
        yield
    finally:
        _speaks_last.reset(token)
        if free:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def outlive_the_launcher() -> None:
    """Take no notice of SIGTERM until the end of `last_words`, if we are within it."""
    if _speaks_last.get() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
