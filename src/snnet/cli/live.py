"""The accuracy-cost curve in the terminal, filling in while stitches are evaluated."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.progress import Progress
from rich.text import Text

from snnet.cli.console import console
from snnet.cli.progress import Report, progress, progress_bar, reporter
from snnet.table import StitchRow, StitchTable, is_predicted, measured, pareto_frontier
from snnet.utils import human

Draw = Callable[[StitchTable], None]

_WIDTH, _HEIGHT = 72, 16
# Room for the axis, the bar and the lines above.
_LEAST_WIDTH, _LEAST_HEIGHT = 80, 26
# Fewer points are read more easily in the table that follows.
_LEAST_STITCHES = 8
_MARKS = ((1, "★", "bold yellow"), (2, "●", "bold green"), (3, "•", "cyan"), (4, "∘", "dim"))
"""Rank -> what stands for an anchor, a stitch on the frontier, another, and one that is predicted; the first wins."""


@contextmanager
def curve_and_progress(title: str, stitches: int, *, live: bool | None = None) -> Iterator[tuple[Report, Draw]]:
    """Show a bar and over it the curve; the bar alone where there is no terminal or no room.

    Args:
        title: Of the bar.
        stitches: How many there are.
        live: Whether to draw the curve where a terminal has room; None draws it where there are enough stitches.

    Yields:
        What progress is reported to, and what is given the table whenever scores have come.
    """
    out = console(stderr=True)
    fits = out.is_terminal and console().is_terminal and out.width >= _LEAST_WIDTH and out.height >= _LEAST_HEIGHT
    wanted = stitches >= _LEAST_STITCHES if live is None else live
    if not (fits and wanted):
        with progress(title) as report:
            yield report, lambda _: None
        return
    bar = progress_bar(out)
    with Live(bar, console=out, refresh_per_second=4) as view:
        yield reporter(bar, title), lambda table: _update(view, bar, table)


def _update(view: Live, bar: Progress, table: StitchTable) -> None:
    view.update(Group(*draw_text(table), bar))


def draw_text(table: StitchTable, width: int = _WIDTH, height: int = _HEIGHT) -> list[Text]:
    """Return the curve as lines of text, top-1 over MACs; nothing where no stitch is scored.

    Args:
        table: The stitches so far.
        width: Columns of the field, without the axis.
        height: Its lines.
    """
    rows = [row for row in table if measured(row, "macs", "top1")]
    if not rows:
        return []
    low, high = _ends([row.top1 for row in rows])
    left, right = min(row.macs for row in rows), max(row.macs for row in rows)
    best = {row.stitch for row in pareto_frontier(table)}
    field: dict[tuple[int, int], int] = {}
    for row in rows:
        place = (_cell(high - row.top1, high - low, height), _cell(row.macs - left, right - left, width))
        field[place] = min(_rank(row, best), field.get(place, len(_MARKS)))
    scale = {0: high, height // 2: (high + low) / 2, height - 1: low}
    lines = [_line(field, number, width, scale.get(number)) for number in range(height)]
    return [*lines, Text(f"{'':>7}└" + "─" * width), _costs(left, right, width), _legend(len(rows), len(table))]


def _rank(row: StitchRow, best: set[str]) -> int:
    if row.route.is_anchor:
        return 1
    if is_predicted(row):
        return 4
    return 2 if row.stitch in best else 3


def _line(field: dict[tuple[int, int], int], number: int, width: int, label: float | None) -> Text:
    text = Text(f"{label:6.2f} ┤" if label is not None else f"{'':>7}│")
    looks = {rank: (mark, style) for rank, mark, style in _MARKS}
    for column in range(width):
        text.append(*looks.get(field.get((number, column), 0), (" ", "")))
    return text


def _costs(left: float, right: float, width: int) -> Text:
    ends = human(left), f"{human(right)} MACs"
    return Text(f"{'':>8}{ends[0]}{ends[1]:>{max(width - len(ends[0]), 1)}}")


def _legend(shown: int, known: int) -> Text:
    words = ("anchor", "frontier", "stitch", "predicted")
    text = Text(f"{'':>8}")
    for (_, mark, style), word in zip(_MARKS, words, strict=True):
        text.append(mark, style).append(f" {word}   ")
    return text.append(f"{shown} of {known}, top-1 %", "dim")


def _ends(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.0 if high > low else 0.5
    return low - margin, high + margin


def _cell(value: float, extent: float, count: int) -> int:
    return min(math.floor(value / extent * count), count - 1) if extent > 0 else count // 2
