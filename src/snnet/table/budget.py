"""The best stitch under a budget."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from operator import le

from snnet.errors import BudgetError
from snnet.space import Stitch
from snnet.table.columns import at_batch, column, kinds_of
from snnet.table.facts import check_profile
from snnet.table.reliability import warn_of_doubts
from snnet.table.row import StitchRow
from snnet.table.table import StitchTable
from snnet.table.values import measured, missing_column
from snnet.utils import counted


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
        for name, limit in self.limits.items():
            if isinstance(limit, bool) or not isinstance(limit, int | float) or math.isnan(limit):
                raise BudgetError(f"The limit {name}={limit!r} is not a number; write it as in macs=3e9.")

    def __str__(self) -> str:
        signs = {True: ">=", False: "<="}
        told = (f"{name} {signs[column(name).higher_is_better]} {_number(at)}" for name, at in self.limits.items())
        return " and ".join(told) or "no limit"

    def admits(self, row: StitchRow, name: str | None = None) -> bool:
        """Return whether the row keeps all limits, or only that on one column; an unmeasured value keeps none."""
        names = self.limits if name is None else (name,)
        return all(measured(row, one) and _rank(row, one) <= column(one).badness(self.limits[one]) for one in names)


def select(
    table: StitchTable,
    *,
    prefer: str | None = None,
    batch: int | None = None,
    precision: str | None = None,
    any_machine: bool = False,
    **limits: float,
) -> Stitch:
    """Return the best stitch within all limits: `select(table, macs=3e9, latency_ms=5)`; `table[stitch]` is its row.

    Among equally good stitches the cheaper is taken: by the limited columns in the order given, then by MACs,
    parameters and number in the space. Rows whose value of `prefer` is missing or not finite are passed over.

    Args:
        table: Stitches with their costs and scores.
        prefer: Column to be best in, `table.score` if None: highest for scores such as top-1, and for throughput,
            lowest for all others, so that `select(table, prefer="latency_ms", top1=80)` is the fastest stitch that
            reaches 80 %.
        batch: Images at once: what was measured is then read at this batch size (`latency_ms@8` for
            `latency_ms`), in limits and in `prefer`; batch 1 if None.
        precision: What the network will run in, such as `bf16`; its own if None.
        any_machine: Take latencies, throughputs, memory and energy whatever machine and precision they are of.
        limits: Column = limit, as in `Budget`: `macs`, `params`, `latency_ms` (milliseconds per batch), `memory_mb`,
            `energy_mj` (millijoules per batch), or any other column.

    Returns:
        The stitch; `table[stitch]` is its row.

    Warns:
        MeasurementWarning: If the choice depends on latencies that are unreliable, see `doubts`.

    Raises:
        BudgetError: If a column does not exist, or nothing fits; then the message names the cheapest there is.
        TableError: If a column that counts was measured elsewhere, see `check_profile`.
    """
    budget = Budget({at_batch(name, batch): limit for name, limit in limits.items()})
    ranking = Ranking(
        table, at_batch(prefer or table.score, batch), budget.limits, precision=precision, any_machine=any_machine
    )
    best = ranking.best(budget)
    timed = [name for name in (ranking.prefer, *ranking.columns) if column(name).per_batch]
    # Those that another time would have put in the place of the best.
    close = ranking.rows if ranking.prefer in timed else ranking.rows[: ranking.rows.index(best) + 1]
    others = [name for name in ranking.columns if name not in timed]
    rivals = {row.stitch for row in close if all(budget.admits(row, name) for name in others)}
    warn_of_doubts(table, timed, rivals, level=2)
    return best.route


class Ranking:
    """Stitches from the best to the worst, worked out once for budgets that limit the same columns.

    Args:
        table: Stitches with their costs and scores.
        prefer: Column to be best in, at its batch size; `table.score` if None.
        columns: Those that are limited, at their batch size.
        precision: See `select`.
        engine: What the stitches will run on, such as `onnxruntime`; any if None.
        any_machine: See `select`.

    Attributes:
        rows: Those with finite values in all of these columns, the best first, of equals the cheaper.

    Raises:
        BudgetError: If a column does not exist.
        TableError: If a column was measured elsewhere, see `check_profile`.
    """

    def __init__(
        self,
        table: StitchTable,
        prefer: str | None = None,
        columns: Iterable[str] = (),
        *,
        precision: str | None = None,
        engine: str | None = None,
        any_machine: bool = False,
    ) -> None:
        self.table, self.prefer, self.columns = table, prefer or table.score, tuple(columns)
        for name in (self.prefer, *self.columns):
            if message := missing_column(table, name):
                raise BudgetError(message)
        if not any_machine:
            check_profile(table.meta, (self.prefer, *self.columns), precision, engine)
        ties = dict.fromkeys((self.prefer, *self.columns, *(kind.name for kind in kinds_of("cost"))))
        rows = (row for row in table if measured(row, self.prefer, *self.columns))
        self.rows = sorted(rows, key=lambda row: (*(_rank(row, name) for name in ties), row.index))
        self._costs = [tuple(_rank(row, name) for name in self.columns) for row in self.rows]

    def best(self, budget: Budget, among: Callable[[StitchRow], bool] | None = None) -> StitchRow:
        """Return the best row within a budget.

        Args:
            budget: Limits on `columns`, in the same order.
            among: Tells which rows may be chosen; all if None.

        Raises:
            BudgetError: If nothing fits; the message names the cheapest there is.
        """
        limits = [column(name).badness(limit) for name, limit in budget.limits.items()]
        start = 0
        if len(limits) == 1:
            # With one limit the best is one bisection away.
            thresholds, firsts = self._steps
            start = firsts[bisect_right(thresholds, limits[0])]
        for place in range(start, len(self.rows)):
            if all(map(le, self._costs[place], limits)) and (among is None or among(self.rows[place])):
                return self.rows[place]
        raise BudgetError(self._nothing_fits(budget, ready=among is not None))

    @cached_property
    def _steps(self) -> tuple[list[float], list[int]]:
        """The values of the one limited column, rising, and the place of the best row below each of them."""
        rising = sorted((costs[0], place) for place, costs in enumerate(self._costs))
        places = accumulate((place for _, place in rising), min, initial=len(rising))
        return [cost for cost, _ in rising], list(places)

    def cheapest(self) -> StitchRow | None:
        """Return the row that is best in the limited column, of equals the one that `best` would take; None if none."""
        return self.rows[min(range(len(self.rows)), key=self._costs.__getitem__)] if self.rows else None

    def _nothing_fits(self, budget: Budget, *, ready: bool) -> str:
        candidates = [row for row in self.table if measured(row, self.prefer)]
        if not candidates:
            command = column(self.prefer).command or "snnet evaluate"
            stitches = counted(len(self.table), "stitch")
            return f"None of the {stitches} has a finite {self.prefer!r}; `{command}` measures it."
        unmet = [name for name in budget.limits if not any(budget.admits(row, name) for row in candidates)]
        parts = [f"No {'ready ' * ready}stitch keeps {budget}."]
        if not unmet and not ready:
            parts.append("Each limit alone can be kept, all of them together cannot.")
        parts += [_extreme(candidates, name) for name in unmet or budget.limits]
        if unscored := sum(budget.admits(row) for row in self.table if not measured(row, self.prefer)):
            parts.append(f"{unscored} unscored would fit; `snnet evaluate` measures their {self.prefer!r}.")
        return " ".join(parts)


def _rank(row: StitchRow, name: str) -> float:
    return column(name).badness(row.values[name]) if measured(row, name) else math.inf


def _extreme(rows: list[StitchRow], name: str) -> str:
    have = [row for row in rows if measured(row, name)]
    if not have:
        return f"No scored stitch has a finite {name!r}."
    best = min(have, key=lambda row: (_rank(row, name), row.index))
    word = "highest" if column(name).higher_is_better else "lowest"
    return f"The {word} {name} there is: {_number(best.values[name])} (stitch {best.index}, {best.stitch})."


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"
