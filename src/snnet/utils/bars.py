# Tested in tests/utils/test_progress.py.
"""The bar of long work, for terminals and notebooks."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar on stderr, or in the notebook's cell, and leave its last state standing."""
    console = Console(stderr=True, highlight=False)
    # What is in a line of 60 characters; at 100 titles stand in a column.
    wide, long = (24, 24) if console.width >= 100 else (0, max(4, min(24, console.width - 52)))
    columns = (
        TextColumn(f"{{task.description:<{wide}}}"),
        BarColumn(bar_width=long),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with _Bar(*columns, console=console) as shown:
        task = shown.add_task(title, total=None, note="")
        yield lambda done, total, note: shown.update(task, completed=done, total=total or None, note=note)


class _Bar(Progress):
    def get_renderables(self) -> Iterable[RenderableType]:
        """Show the note of each piece of work on a line of its own, broken where it is longer."""
        for task in self.tasks:
            yield self.make_tasks_table([task])
            if task.fields["note"]:
                yield Padding(Text(task.fields["note"], "dim", overflow="fold"), (0, 0, 0, 2))
