"""Live progress on stderr: a bar in a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
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
    with progress_bar(console(stderr=True)) as bar:
        yield reporter(bar, title)


def progress_bar(out: Console) -> Progress:
    """Return an empty bar of our style."""
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", style="dim"),
    )
    return Progress(*columns, console=out)


def reporter(bar: Progress, title: str) -> Report:
    """Add one piece of work to a bar, and return what its progress is reported to."""
    task = bar.add_task(title, total=None, note="")

    def report(done: int, total: int, note: str) -> None:
        bar.update(task, completed=done, total=total or None, note=note)

    return report


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
