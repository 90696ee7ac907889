"""Where the command line writes: results to stdout, everything else to stderr."""

import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from snnet.errors import BudgetError, MeasurementWarning
from snnet.table import COST, StitchRow, StitchTable, cells, column, gain_if_known, kinds_of, select
from snnet.utils import Progress, human, is_watched, started_share, text_grid

_SECONDS_BETWEEN_LINES = 10.0


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # Rich would exit with 1, but a reader such as `head` that has enough is no failure.
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """Return a console on the present stdout or stderr."""
    return _Console(file=sys.stderr if stderr else sys.stdout, highlight=False, emoji=False)


@contextmanager
def open_streams() -> Iterator[None]:
    """Within the block, let output go nowhere where stdout or stderr was closed (`>&-`); work is done all the same."""
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
        sys.stdout, sys.stderr = (stream or nowhere for stream in before)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


def deafen(stream: TextIO) -> None:
    """Let what is written to a stream, whose reader is gone, go nowhere; Python itself would complain at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def heard_or_not() -> Iterator[None]:
    """Show results with work still to come, which goes on where the reader, such as `head`, has enough."""
    try:
        yield
    except BrokenPipeError:
        deafen(sys.stdout)


def loading() -> None:
    """Say why nothing happens for a few seconds, before torch is loaded."""
    if "torch" not in sys.modules:
        say("Loading torch ...", style="dim")


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
    out = console(stderr=True)
    with out.capture() as written:
        out.print(message, style=style, markup=False, soft_wrap=True)
    try:
        # Through the stream itself, into which a bar that is shown puts its own lines above it.
        sys.stderr.write(written.get())
        sys.stderr.flush()
    except OSError:
        # Nobody hears; the work is not lost for that.
        deafen(sys.stderr)


@contextmanager
def saying_warnings() -> Iterator[None]:
    """Let warnings about measurements be messages to the user."""

    def tell(message: Warning | str, category: type[Warning], *where: Any) -> None:
        if issubclass(category, MeasurementWarning):
            say(f"Warning: {message}")
        else:
            usual(message, category, *where)

    with warnings.catch_warnings():
        warnings.simplefilter("always", MeasurementWarning)
        usual, warnings.showwarning = warnings.showwarning, tell  # type: ignore[assignment]
        yield


class _Saying(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage(), style="dim" if record.levelno < logging.WARNING else None)


@contextmanager
def said_aloud(name: str) -> Iterator[None]:
    """Print what a logger is told, news as well as warnings, for a while."""
    logger, handler = logging.getLogger(name), _Saying()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


def show_json(value: Any) -> None:
    """Print `value` as JSON for machines; of several processes the first does."""
    if not started_share().is_first:
        return
    sys.stdout.write(json.dumps(value, indent=1) + "\n")
    sys.stdout.flush()


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


def show_rows(table: StitchTable, *, names: Iterable[str] | None = None) -> None:
    """Print one line per stitch with the columns that there are, or those that are named."""
    columns = [column(name) for name in (table.columns if names is None else names)]
    headings = ["#", "stitch", *(one.heading for one in columns)]
    values = cells(table, table, [one.name for one in columns])
    rows = ([str(row.index), row.stitch, *found] for row, found in zip(table, values, strict=True))
    # Parts of another column say least, then what stands last; the usual cost and score say most.
    by_worth = sorted(columns, key=lambda one: (one.name in (COST, table.score), not one.part, -columns.index(one)))
    show_table(headings, rows, spare=[one.heading for one in by_worth])


def scores_of(table: StitchTable) -> list[str]:
    """Return the scores that a table shows: those that it has, or else the one it is chosen by."""
    return [kind.name for kind in kinds_of("score") if kind.name in table.columns] or [table.score]


def cell(row: StitchRow, name: str) -> str:
    """Return one value as a person reads it."""
    return column(name).text(row.get(name))


def show_gain(table: StitchTable) -> None:
    """Print by how much the stitches are better than keeping the anchors, where hits of single images tell."""
    if (gain := gain_if_known(table)) is not None:
        show(Text(str(gain), "bold"))


def show_choices(table: StitchTable, budgets: Iterable[float]) -> None:
    """Print the best stitch under each budget of MACs."""
    rows, faults = [], []
    for budget in budgets:
        try:
            row = table[select(table, macs=budget)]
        except BudgetError as error:
            faults.append(str(error))
        else:
            rows.append([human(budget), str(row.index), row.stitch, cell(row, COST), cell(row, table.score)])
    if rows:
        cost, score = column(COST).heading, column(table.score).heading
        headings = [f"{cost} at most", "#", "stitch", cost, score]
        show_table(headings, rows, title="The best stitch under a budget")
    show(*faults)


def table_json(table: StitchTable) -> dict[str, Any]:
    """Return a table as plain data, rows under `stitches`, as `StitchTable.load` reads it."""
    return {**table.meta, "stitches": [row.to_dict() for row in table]}


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
