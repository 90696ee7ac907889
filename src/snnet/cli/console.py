"""Where the command line writes: results to stdout, everything else to stderr."""

import json
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from snnet.utils import started_share, text_grid


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # Rich would exit with 1, but a reader such as `head` that has enough is no failure.
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """Return a console on the present stdout or stderr."""
    return _Console(file=sys.stderr if stderr else sys.stdout, highlight=False, emoji=False)


def show(*lines: str | Text) -> None:
    """Print results, plain text without interpreting brackets as markup; of several processes the first does."""
    if not started_share().is_first:
        return
    out = console()
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)


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
    left: Collection[str] = ("stitch",),
    spare: Sequence[str] = (),
) -> None:
    """Print a table, whole at any width of the terminal; what is left out for want of room is said in a line.

    Args:
        headings: One for each column.
        rows: Cells as text.
        title: A line above it.
        left: Headings of columns of text, which are aligned left and may be broken between words.
        spare: Headings of columns that may be left out, the first one first.
    """
    width = console().width if sys.stdout.isatty() else None
    (head, *lines), gone = text_grid(headings, rows, left=left, width=width, spare=spare)
    show(*([Text(title, "bold")] if title else []), Text(head, "bold"), *lines)
    if gone:
        show(Text(f"No room for {', '.join(gone)}; a wider terminal or a pipe shows all.", "dim"))
