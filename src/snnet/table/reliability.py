"""Measured times that are worth little: those of a machine that had other work to do."""

import math
import warnings
from bisect import bisect_left, bisect_right, insort
from collections.abc import Container, Iterable, Sequence

from snnet.errors import MeasurementWarning
from snnet.table.columns import COST, LATENCY, THROUGHPUT, at_batch, column
from snnet.table.row import StitchRow
from snnet.utils import counted

WIDE, WIDEST = 0.1, 0.5
"""Shares of a median. An interval below the first is narrow enough for any budget; one above the second for none."""
MIXED = 0.25
"""Share of the other stitches within an interval, from which on it does not tell stitches apart."""
FACTOR = 2.0
"""How much faster than cheaper stitches, or slower than costlier ones, a stitch may be."""


def doubts(rows: Iterable[StitchRow], name: str = LATENCY) -> dict[str, str]:
    """Return the stitches whose latencies are unreliable, and why.

    They are if the median's confidence interval is wide, by itself (more than half the median) or against the
    differences between stitches (it holds the medians of more than a quarter of the others, and is not narrower than
    a tenth of its own); or if the order is wrong: less than half the latency that stitches with fewer MACs have in the
    middle, or more than twice that of those with more.

    Args:
        rows: All stitches that were measured together.
        name: The column: a latency or its part, or a throughput, at any batch size.

    Returns:
        Id of a stitch -> `between 25 and 1587 ms`. Nothing for other columns, and for values without an interval.
    """
    found = column(name)
    if found.kind not in (LATENCY, THROUGHPUT) or found.is_error:
        return {}
    middle, low, high = (at_batch(f"{LATENCY}{part}", found.batch) for part in ("", "_low", "_high"))
    known = [row for row in rows if all(math.isfinite(row.values.get(part, math.inf)) for part in (middle, low, high))]
    times = sorted(row.values[middle] for row in known)
    told = {}
    for row in known:
        time, start, stop = (row.values[part] for part in (middle, low, high))
        mixed = bisect_right(times, stop) - bisect_left(times, start) - 1 > MIXED * (len(times) - 1)
        if stop - start > (WIDE if mixed else WIDEST) * time:
            told[row.stitch] = f"between {start:.4g} and {stop:.4g} ms"
    return _disordered(known, middle) | told


def _disordered(rows: Sequence[StitchRow], name: str) -> dict[str, str]:
    rising = sorted((row for row in rows if COST in row.values), key=lambda row: (row.values[COST], row.index))
    told = {}
    for ordered, word in ((rising, "fewer"), (rising[::-1], "more")):
        before: list[float] = []
        for row in ordered:
            time = row.values[name]
            middle = before[(len(before) - (word == "fewer")) // 2] if before else time
            if time * FACTOR < middle if word == "fewer" else time > middle * FACTOR:
                told[row.stitch] = f"{time:.4g} ms, where stitches of {word} MACs take {middle:.4g} ms"
            insort(before, time)
    return told


def warn_of_doubts(rows: Iterable[StitchRow], names: Iterable[str], among: Container[str], *, level: int) -> None:
    """Warn of a choice by unreliable times.

    Args:
        rows: All rows of the table.
        names: Columns that the choice depends on.
        among: Ids of the stitches that it depends on.
        level: How far up the caller is whom the warning is for.
    """
    given = list(rows)
    for name in dict.fromkeys(names):
        found = {stitch: why for stitch, why in doubts(given, name).items() if stitch in among}
        if found:
            stitch, why = next(iter(found.items()))
            warnings.warn(
                f"The choice depends on {name}, which is unreliable for {len(found):,} of "
                f"{counted(len(given), 'stitch')}, such as {stitch}: {why}. The machine had other work while it was "
                "measured; measure again when it is idle (`snnet profile`).",
                MeasurementWarning,
                stacklevel=level + 1,
            )


def cells(rows: Iterable[StitchRow], shown: Iterable[StitchRow], names: Sequence[str]) -> list[list[str]]:
    """Return columns of some rows as people read them; an unreliable time is marked, with its interval.

    Args:
        rows: All rows of the table.
        shown: Those to return.
        names: The columns.
    """
    given = list(rows)
    doubtful = {name: doubts(given, name) for name in names}

    def text(row: StitchRow, name: str) -> str:
        told, found = column(name).text(row.get(name)), column(name)
        if row.get(name) is None or row.stitch not in doubtful[name] or found.part in ("low", "high"):
            return told
        if name != at_batch(LATENCY, found.batch):
            return f"{told} ?"
        ends = (row.values[at_batch(f"{LATENCY}_{end}", found.batch)] for end in ("low", "high"))
        return f"{told} ? ({' to '.join(map(found.text, ends))})"

    return [[text(row, name) for name in names] for row in shown]
