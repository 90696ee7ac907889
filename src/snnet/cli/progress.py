"""Live progress on stderr: a bar in a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import RenderableType
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

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
    out = console(stderr=True)
    with _Bar(*_columns(out.width), console=out) as bar:
        task = bar.add_task(title, total=None, note="")
        yield lambda done, total, note: bar.update(task, completed=done, total=total or None, note=note)


def _columns(width: int) -> tuple[ProgressColumn, ...]:
    """Return the parts of a bar for a terminal: what is in a line of 60 characters, and at 100 in its usual size."""
    title, bar = (24, 24) if width >= 100 else (0, max(4, min(24, width - 52)))
    return (
        TextColumn(f"{{task.description:<{title}}}"),
        BarColumn(bar_width=bar),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    )


class _Bar(Progress):
    def get_renderables(self) -> Iterator[RenderableType]:
        """Show the note of each piece of work on a line of its own, broken where it is longer."""
        for task in self.tasks:
            yield self.make_tasks_table([task])
            if task.fields["note"]:
                yield Padding(Text(task.fields["note"], "dim", overflow="fold"), (0, 0, 0, 2))


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
