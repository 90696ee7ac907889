"""Where the command line writes: results to stdout, everything else to stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

from snnet.utils import started_share

_PIPED_WIDTH = 240


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # Rich would exit with 1, but a reader such as `head` that has enough is no failure.
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """Return a console on the present stdout or stderr; wide enough for tables where it is no terminal."""
    stream = sys.stderr if stderr else sys.stdout
    return _Console(file=stream, width=None if stream.isatty() else _PIPED_WIDTH, highlight=False, emoji=False)


def show(*parts: RenderableType) -> None:
    """Print results, plain text without interpreting brackets as markup; of several processes the first does."""
    if not started_share().is_first:
        return
    out = console()
    for part in parts:
        out.print(part, markup=False, soft_wrap=isinstance(part, str))


def say(message: str, style: str | None = None, *, all_processes: bool = False) -> None:
    """Print a message to the user on stderr; of several processes the first speaks for all, or each for itself."""
    if not (all_processes or started_share().is_first):
        return
    console(stderr=True).print(message, style=style, markup=False, soft_wrap=True)


def show_json(value: Any) -> None:
    """Print `value` as JSON for machines; of several processes the first does."""
    if not started_share().is_first:
        return
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def show_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    left: Sequence[str] = ("stitch",),
) -> None:
    """Print a table; columns are aligned right, but for those whose heading is in `left`."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    show(table)
