"""The best stitch under a budget."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from snnet.errors import BudgetError
from snnet.table.columns import at_batch, badness, higher_is_better, measured, missing_column
from snnet.table.profiled import check_profile
from snnet.table.table import StitchRow, StitchTable


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


def select(
    table: StitchTable,
    *,
    prefer: str = "top1",
    batch: int | None = None,
    precision: str | None = None,
    any_machine: bool = False,
    **limits: float,
) -> StitchRow:
    """Return the best stitch within all limits: `select(table, macs=3e9, latency_ms=5)`.

    Among equally good stitches the cheaper is taken: by the limited columns in the order given, then by MACs,
    parameters and number in the space. Rows whose value of `prefer` is missing or not finite are passed over.

    Args:
        table: Stitches with their costs and scores.
        prefer: Column to be best in: highest for top-1, top-5 and throughput, lowest for all others, so that
            `select(table, prefer="latency_ms", top1=80)` is the fastest stitch that reaches 80 %.
        batch: Images at once: what was measured is then read at this batch size (`latency_ms@8` for
            `latency_ms`), in limits and in `prefer`; batch 1 if None.
        precision: What the network will run in, such as `bf16`; its own if None.
        any_machine: Take latencies, throughputs, memory and energy whatever machine and precision they are of.
        limits: Column = limit, as in `Budget`: `macs`, `params`, `latency_ms` (milliseconds per batch), `memory_mb`,
            `energy_mj` (millijoules per batch), or any other column.

    Raises:
        BudgetError: If a column does not exist, or nothing fits; then the message names the cheapest there is.
        TableError: If a column that counts was measured elsewhere, see `check_profile`.
    """
    prefer = at_batch(prefer, batch)
    budget = Budget({at_batch(column, batch): limit for column, limit in limits.items()})
    for column in (prefer, *budget.limits):
        if message := missing_column(table, column):
            raise BudgetError(message)
    if not any_machine:
        check_profile(table, (prefer, *budget.limits), precision)
    candidates = [row for row in table if measured(row, prefer)]
    fitting = [row for row in candidates if budget.admits(row)]
    if not fitting:
        raise BudgetError(_nothing_fits(table, candidates, budget, prefer))
    ties = dict.fromkeys((*budget.limits, "macs", "params"))
    return min(fitting, key=lambda row: (*(_rank(row, column) for column in (prefer, *ties)), row.index))


def _rank(row: StitchRow, column: str) -> float:
    return badness(column, row.values[column]) if measured(row, column) else math.inf


def _nothing_fits(table: StitchTable, candidates: list[StitchRow], budget: Budget, prefer: str) -> str:
    if not candidates:
        return f"None of the {len(table)} stitches has a finite {prefer!r}; `snnet evaluate` measures it."
    unmet = [name for name in budget.limits if not any(budget.admits(row, name) for row in candidates)]
    parts = [f"No stitch keeps {budget}."]
    if not unmet:
        parts.append("Each limit alone can be kept, all of them together cannot.")
    parts += [_extreme(candidates, name) for name in unmet or budget.limits]
    if unscored := sum(budget.admits(row) for row in table):
        parts.append(f"{unscored} unscored would fit; `snnet evaluate` measures their {prefer!r}.")
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
