"""Progress on stderr: a bar in a terminal, a line now and then elsewhere."""

import time
from contextlib import AbstractContextManager, nullcontext

from snnet.cli.console import say
from snnet.utils import Progress, is_watched

_SECONDS_BETWEEN_LINES = 10.0


def progress(title: str) -> AbstractContextManager[Progress]:
    """Show the progress of one piece of long work, and leave its last state standing."""
    if not is_watched():
        return nullcontext(_Lines(title))
    from snnet.utils import bar  # slow, and not needed where nobody watches

    return bar(title)


class _Lines:
    # Logs and pipes get the first, the last, and in between a line every few seconds.
    def __init__(self, title: str) -> None:
        self.title = title
        self.said = 0.0

    def __call__(self, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if now - self.said >= _SECONDS_BETWEEN_LINES or done == total:
            self.said = now
            of = f"/{total}" if total else ""
            say(f"{self.title}: {done}{of} {note}".rstrip())
