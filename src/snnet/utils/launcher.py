"""What a program that `torchrun` started may still say when one of its processes is lost, and the others are ended."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_speaks_last: ContextVar[bool] = ContextVar("speaks_last", default=False)


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
