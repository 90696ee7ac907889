"""Live progress on stderr: a bar in a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from snnet.cli.console import console, say
from snnet.utils import started_share

Report = Callable[[int, int, str], None]
"""Called with what is done, what there is in all (0 if unknown), and a note."""

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress(title: str) -> Iterator[Report]:
    """Show the progress of one piece of long work, and leave its last state standing."""
    if not (console(stderr=True).is_terminal and started_share().is_first):
        yield _Lines(title)
        return
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", style="dim"),
    )
    with Progress(*columns, console=console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, note="")
        yield lambda done, total, note: bar.update(task, completed=done, total=total or None, note=note)


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
