"""The bar of long work, for terminals and notebooks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, RenderResult
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
from rich.table import Column
from rich.text import Text

_ROOM_FOR_TIME, _ROOM_FOR_A_LONG_BAR = 80, 100  # columns


@contextmanager
def shown_bar(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar on stderr, or in the notebook's cell, and leave its last state standing."""
    console = Console(stderr=True, highlight=False)
    columns = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=24 if console.width >= _ROOM_FOR_A_LONG_BAR else 8),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        *([TimeRemainingColumn(compact=True)] if console.width >= _ROOM_FOR_TIME else []),
        _Note(Column(ratio=1)),
    ]
    with Progress(*columns, console=console, expand=True) as bar:
        task = bar.add_task(title, total=None, note="")
        yield lambda done, total, note: bar.update(task, completed=done, total=total or None, note=note)


class _Note(ProgressColumn):
    def render(self, task: Task) -> "_WholeWords":
        return _WholeWords(task.fields["note"])


class _WholeWords:
    """As many words of a text as there is room for: half a number would be another number."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = self.text
        while len(text) > options.max_width:
            text = text.rpartition(" ")[0].rstrip()
        yield Text(text, style="dim", no_wrap=True)
