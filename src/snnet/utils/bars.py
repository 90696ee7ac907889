# Tested in tests/utils/test_progress.py.
"""The bar of long work, for terminals and notebooks."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import StringIO

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from snnet.utils.packages import in_notebook

_SECONDS = 0.2
"""Between two drawings in a notebook, each of which is a message to the browser."""


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar on stderr, or in the notebook's cell, and leave its last state standing."""
    if in_notebook():
        with _in_cell(title) as report:
            yield report
        return
    console = Console(stderr=True, highlight=False)
    with _Bar(*_columns(console.width), console=console) as shown:
        task = shown.add_task(title, total=None, note="")
        yield lambda done, total, note: shown.update(task, completed=done, total=total or None, note=note)


@contextmanager
def _in_cell(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """Draw the bar as text of the cell, for which rich itself needs ipywidgets."""
    from IPython.display import display

    console = Console(file=StringIO(), width=88, force_jupyter=False)
    shown = _Bar(*_columns(console.width), console=console)
    task = shown.add_task(title, total=None, note="")
    cell, drawn = display({"text/plain": title}, raw=True, display_id=True), 0.0

    def draw() -> None:
        with console.capture() as captured:
            console.print(shown.get_renderable())
        cell.update({"text/plain": captured.get().rstrip()}, raw=True)

    def report(done: int, total: int, note: str) -> None:
        nonlocal drawn
        shown.update(task, completed=done, total=total or None, note=note)
        if time.monotonic() - drawn > _SECONDS:
            drawn = time.monotonic()
            draw()

    try:
        yield report
    finally:
        draw()


def _columns(width: int) -> tuple[ProgressColumn, ...]:
    # What is in a line of 60 characters; at 100 titles stand in a column.
    wide, long = (24, 24) if width >= 100 else (0, max(4, min(24, width - 52)))
    return (
        TextColumn(f"{{task.description:<{wide}}}"),
        BarColumn(bar_width=long),
        _Count(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    )


class _Count(MofNCompleteColumn):
    def render(self, task: Task) -> Text:
        """Show nothing as long as nobody knows how much there is."""
        return super().render(task) if task.total is not None else Text()


class _Bar(Progress):
    def get_renderables(self) -> Iterable[RenderableType]:
        """Show the note of each piece of work on a line of its own, broken where it is longer."""
        for task in self.tasks:
            yield self.make_tasks_table([task])
            if task.fields["note"]:
                yield Padding(Text(task.fields["note"], "dim", overflow="fold"), (0, 0, 0, 2))
