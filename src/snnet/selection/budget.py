"""The best stitch under a budget."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from snnet.errors import BudgetError
from snnet.selection.columns import badness, higher_is_better, measured, missing_column
from snnet.table import StitchRow, StitchTable


@dataclass(frozen=True)
class Budget:
    """Limits on columns of a stitch table, all of which must hold.

    Attributes:
        limits: Column -> limit, in the column's own unit. It is an upper bound (MACs, parameters, milliseconds,
            loss, ...), except for what is better when larger (top-1, top-5, throughput): there it is a lower bound.

    Raises:
        BudgetError: If a limit is not a number.
    """

    limits: Mapping[str, float]

    def __post_init__(self) -> None:
        for column, limit in self.limits.items():
            if isinstance(limit, bool) or not isinstance(limit, int | float) or math.isnan(limit):
                raise BudgetError(f"The limit {column}={limit!r} is not a number; write it as in macs=3e9.")

    def __str__(self) -> str:
        return " and ".join(self.describe(column) for column in self.limits) or "no limit"

    def describe(self, column: str) -> str:
        """Return one limit in words, such as `macs <= 3,000,000,000`."""
        return f"{column} {'>=' if higher_is_better(column) else '<='} {_number(self.limits[column])}"

    def admits(self, row: StitchRow, column: str | None = None) -> bool:
        """Return whether the row keeps all limits, or only that of `column`; an unmeasured value keeps none."""
        return all(
            measured(row, name) and badness(name, row.values[name]) <= badness(name, self.limits[name])
            for name in ([column] if column else self.limits)
        )


def select(table: StitchTable, *, by: str = "top1", **limits: float) -> StitchRow:
    """Return the best stitch within all limits: `select(table, macs=3e9, latency_ms=5)`.

    Among equally good stitches the cheaper is taken: by the limited columns in the order given, then by MACs,
    parameters and number in the space. Rows whose value of `by` is missing or not finite are passed over.

    Args:
        table: Stitches with their costs and scores.
        by: Column to be best in: highest for top-1, top-5 and throughput, lowest for all others, so that
            `select(table, by="latency_ms", top1=80)` is the fastest stitch that reaches 80 %.
        limits: Column = limit, as in `Budget`.

    Raises:
        BudgetError: If a column does not exist, or nothing fits; then the message names the cheapest there is.
    """
    budget = Budget(limits)
    for column in (by, *limits):
        if message := missing_column(table, column):
            raise BudgetError(message)
    candidates = [row for row in table if measured(row, by)]
    fitting = [row for row in candidates if budget.admits(row)]
    if not fitting:
        raise BudgetError(_nothing_fits(table, candidates, budget, by))
    ties = dict.fromkeys((*limits, "macs", "params"))
    return min(fitting, key=lambda row: (*(_rank(row, column) for column in (by, *ties)), row.index))


def _rank(row: StitchRow, column: str) -> float:
    return badness(column, row.values[column]) if measured(row, column) else math.inf


def _nothing_fits(table: StitchTable, candidates: list[StitchRow], budget: Budget, by: str) -> str:
    if not candidates:
        return f"None of the {len(table)} stitches has a finite {by!r}; `snnet evaluate` measures it."
    unmet = [name for name in budget.limits if not any(budget.admits(row, name) for row in candidates)]
    parts = [f"No stitch keeps {budget}."]
    if not unmet:
        parts.append("Each limit alone can be kept, all of them together cannot.")
    parts += [_extreme(candidates, name) for name in unmet or budget.limits]
    if unscored := sum(budget.admits(row) for row in table):
        parts.append(f"{unscored} unscored would fit; `snnet evaluate` measures their {by!r}.")
    return " ".join(parts)


def _extreme(rows: list[StitchRow], column: str) -> str:
    have = [row for row in rows if measured(row, column)]
    if not have:
        return f"No scored stitch has a finite {column!r}."
    best = min(have, key=lambda row: (_rank(row, column), row.index))
    word = "highest" if higher_is_better(column) else "lowest"
    return f"The {word} {column} there is: {_number(best.values[column])} (stitch {best.index}, {best.stitch})."


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"
