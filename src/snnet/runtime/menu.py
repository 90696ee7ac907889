"""The choice among a few stitches, worked out beforehand: a budget is one bisection away from its stitch."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from snnet.errors import BudgetError
from snnet.space import Stitch
from snnet.table import (
    Budget,
    StitchRow,
    StitchTable,
    at_batch,
    check_profile,
    higher_is_better,
    measured,
    missing_column,
)


@dataclass(frozen=True)
class _Lane:
    """The stitches as one set of limited columns sees them.

    Attributes:
        best_first: Signed values of the columns (smaller is better) and the stitch, the best stitch first.
        thresholds: For one column: its signed values, rising.
        best: For each threshold, the place in `best_first` of the best stitch that costs no more.
        values: For one column: what the table says of each stitch.
        cheapest: For one column: the stitch that is best in it.
    """

    best_first: tuple[tuple[tuple[float, ...], Stitch], ...]
    thresholds: tuple[float, ...]
    best: tuple[int, ...]
    values: Mapping[Stitch, float]
    cheapest: Stitch | None


class Menu:
    """The stitches among which a runtime chooses, with everything sorted that can be.

    The best is what `snnet.select` finds: first in `prefer`; of equals the cheaper, by the limited columns, then
    by MACs, parameters and number.

    Args:
        table: Rows of these stitches.
        prefer: Column to be best in.
        precision: What the stitches run in, such as `bf16`; the network's own if None.
        engine: What the stitches run on, such as `onnxruntime`; any if None.
        any_machine: Take what was measured on another machine or engine, or in another precision, as it is.

    Raises:
        BudgetError: If the table lacks the column, or has no row with a value in it.
        TableError: If the column was measured on another machine or engine, or in another precision.
    """

    def __init__(
        self,
        table: StitchTable,
        prefer: str = "top1",
        *,
        precision: str | None = None,
        engine: str | None = None,
        any_machine: bool = False,
    ) -> None:
        if message := missing_column(table, prefer):
            raise BudgetError(message)
        if not any_machine:
            check_profile(table, (prefer,), precision, engine)
        self.prefer, self.precision, self.engine, self.any_machine = prefer, precision, engine, any_machine
        self.table = table.where(lambda row: measured(row, prefer))
        if not len(self.table):
            raise BudgetError(
                f"None of the {len(table)} stitches has a finite {prefer!r}; `snnet evaluate` measures it."
            )
        self.routes = {row.stitch: row.route for row in self.table}
        self._lanes: dict[tuple[tuple[str, ...], int], _Lane] = {}

    def best(
        self, limits: Mapping[str, float], batch: int = 1, among: Callable[[Stitch], bool] | None = None
    ) -> Stitch:
        """Return the best stitch within all limits.

        Args:
            limits: Column -> limit, as `snnet.select` takes them.
            batch: Images per batch: latencies are limited as measured for so many.
            among: Tells which stitches may be chosen; all if None.

        Raises:
            BudgetError: If a limit is not a number, a column does not exist, or nothing fits.
            TableError: If a column was measured on another machine or engine, or in another precision.
        """
        Budget(limits)
        lane = self._lane(tuple(limits), batch)
        signed = tuple([-limit if higher_is_better(name) else limit for name, limit in limits.items()])
        start = 0
        if len(signed) == 1:
            place = bisect_right(lane.thresholds, signed[0]) - 1
            if place < 0:
                raise BudgetError(self._nothing(limits, batch))
            start = lane.best[place]
        for place in range(start, len(lane.best_first)):
            costs, stitch = lane.best_first[place]
            if all(map(float.__le__, costs, signed)) and (among is None or among(stitch)):
                return stitch
        raise BudgetError(self._nothing(limits, batch, ready=among is not None))

    def cheapest(self, column: str, batch: int = 1) -> Stitch:
        """Return the stitch that is best in a column; among equals the one that `best` would take.

        Raises:
            BudgetError: If no stitch has a value in it.
        """
        found = self._lane((column,), batch).cheapest
        if found is None:
            raise BudgetError(f"No stitch has a finite {at_batch(column, batch)!r}; `snnet profile` measures it.")
        return found

    def value(self, stitch: Stitch, column: str, batch: int = 1) -> float:
        """Return what the table says of a stitch."""
        return self._lane((column,), batch).values[stitch]

    def _lane(self, columns: tuple[str, ...], batch: int) -> _Lane:
        lane = self._lanes.get((columns, batch))
        if lane is None:
            names = tuple(at_batch(column, batch) for column in columns)
            if not self.any_machine:
                check_profile(self.table, names, self.precision, self.engine)
            lane = self._lanes[columns, batch] = self._sorted_by(names)
        return lane

    def _sorted_by(self, columns: tuple[str, ...]) -> _Lane:
        for column in columns:
            if message := missing_column(self.table, column):
                raise BudgetError(message)
        rows = [row for row in self.table if measured(row, *columns)]
        ties = dict.fromkeys((self.prefer, *columns, "macs", "params"))
        rows.sort(key=lambda row: (*(_signed(row, name) for name in ties), row.index))
        pairs = tuple((tuple(_signed(row, name) for name in columns), self.routes[row.stitch]) for row in rows)
        thresholds: list[float] = []
        best: list[int] = []
        for costs, place in sorted((costs, place) for place, (costs, _) in enumerate(pairs)):
            thresholds.append(costs[0] if costs else 0.0)
            best.append(min(place, best[-1] if best else place))
        values = {self.routes[row.stitch]: row.values[name] for row in rows for name in columns[:1]}
        cheapest = min(pairs, key=lambda pair: pair[0])[1] if columns and pairs else None
        return _Lane(pairs, tuple(thresholds), tuple(best), values, cheapest)

    def _nothing(self, limits: Mapping[str, float], batch: int, *, ready: bool = False) -> str:
        kind = "ready stitch" if ready else "stitch"
        parts = [f"No {kind} of {len(self.table)} keeps {Budget(dict(limits))}."]
        for column in limits:
            if (stitch := self._lane((column,), batch).cheapest) is None:
                continue
            word = "highest" if higher_is_better(column) else "lowest"
            parts.append(f"The {word} {column} there is: {self.value(stitch, column, batch):,.6g} (stitch {stitch}).")
        return " ".join(parts)


def spread(stitches: Iterable[Stitch]) -> list[Stitch]:
    """Return sorted stitches in an order whose every beginning covers them evenly: the ends, the middle, quarters."""
    given = list(stitches)
    order, spans = dict.fromkeys((*given[:1], *given[-1:])), [(0, len(given) - 1)]
    while spans:
        low, high = spans.pop(0)
        middle = (low + high) // 2
        if low < middle:
            order[given[middle]] = None
            spans += [(low, middle), (middle, high)]
    return list(order)


def _signed(row: StitchRow, column: str) -> float:
    value = row.get(column)
    if value is None:
        return float("inf")
    return -float(value) if higher_is_better(column) else float(value)
