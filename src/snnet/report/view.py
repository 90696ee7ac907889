"""What pictures of a table have in common: names, colors, units, and which rows go together."""

from dataclasses import dataclass
from itertools import groupby

from snnet.errors import TableError
from snnet.table import COLUMNS, StitchRow, StitchTable, at_batch, column, measured, measured_batches, require_columns
from snnet.utils import SCALES

# Okabe and Ito's palette, darkened where it is too light on white: told apart with any color vision.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#b8569a", "#8a6d00", "#3c9ccf", "#6b4ea0", "#7a7a7a")
ALONE, UNRELIABLE = "anchors alone", "unreliable time"


@dataclass(frozen=True)
class Series:
    """The stitches that pass through the same anchors in the same order, drawn in one color."""

    label: str
    color: str
    rows: tuple[StitchRow, ...]


@dataclass(frozen=True)
class Axis:
    """How a column is written: divided by `scale`, followed by `unit`."""

    column: str
    label: str
    scale: float
    unit: str

    @property
    def title(self) -> str:
        """The label with its unit, such as `MACs (G)`."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


def axis_of(table: StitchTable, name: str) -> Axis:
    """Return the label and the unit of a column, with one scale for all its values."""
    known = column(name)
    if known.form:
        return Axis(name, known.title, 1.0, known.unit)
    largest = max((row.values[name] for row in table if measured(row, name)), default=1.0)
    scale, unit = next(((scale, unit) for scale, unit in SCALES if largest >= scale), (1.0, ""))
    return Axis(name, known.title, scale, unit)


def cost_columns(table: StitchTable) -> list[str]:
    """Return the columns that a budget can be set on: MACs, parameters, median latencies, memory, energy."""
    kinds = [kind for kind in COLUMNS.values() if kind.is_budget]
    names = [
        at_batch(kind.name, batch)
        for kind in kinds
        for batch in (measured_batches(table, kind.name) if kind.per_batch else (1,))
    ]
    return [name for name in names if any(measured(row, name) for row in table)]


def anchor_depths(table: StitchTable) -> list[list[int]]:
    """Return the number of blocks in each stage of each anchor; without facts in the table, from its routes."""
    if depths := table.meta.get("depths"):
        return [list(stages) for stages in depths]
    stops: dict[int, int] = {}
    for row in table:
        for segment in row.route.segments:
            stops[segment.anchor] = max(stops.get(segment.anchor, 0), segment.stop)
    return [[stops.get(number, 1)] for number in range(max(stops, default=-1) + 1)]


def anchor_names(table: StitchTable) -> list[str]:
    """Return the anchors' names in order; `anchor 0` and so on where the table has none."""
    names = [str(name) for name in table.meta.get("anchors", ())]
    count = len(anchor_depths(table))
    return names + [f"anchor {number}" for number in range(len(names), count)]


def short_names(table: StitchTable) -> list[str]:
    """Return the anchors' names without the words that all of them begin or end with."""
    words = [name.split("_") for name in anchor_names(table)]
    if len(words) < 2:
        return anchor_names(table)
    shortest = min(map(len, words))
    tail = 0
    while tail < shortest - 1 and len({w[-1 - tail] for w in words}) == 1:
        tail += 1
    head = 0
    while head < shortest - tail - 1 and len({w[head] for w in words}) == 1:
        head += 1
    return ["_".join(w[head : len(w) - tail]) for w in words]


def series_of(table: StitchTable) -> list[Series]:
    """Return the stitches grouped by the anchors they pass through, in the order of the table.

    A skip stays in its anchor, so that it makes no other group. Where there are more groups than colors, only the first
    and the last anchor tell.
    """
    ways = {row.stitch: tuple(anchor for anchor, _ in groupby(row.route.anchors)) for row in table.stitched}
    many = len(set(ways.values())) > len(PALETTE)
    groups: dict[tuple[int, ...], list[StitchRow]] = {}
    for row in table.stitched:
        way = ways[row.stitch]
        groups.setdefault((way[0], way[-1]) if many else way, []).append(row)
    names, arrow = short_names(table), " … " if many else " → "
    labels = [arrow.join(names[a] for a in way) if len(way) > 1 else f"{names[way[0]]} with skips" for way in groups]
    return [
        Series(label, PALETTE[number % len(PALETTE)], tuple(rows))
        for number, (label, rows) in enumerate(zip(labels, groups.values(), strict=True))
    ]


def staircase(table: StitchTable, before: StitchTable | None, cost: str, score: str) -> list[tuple[float, float]]:
    """Return cost and score of the best anchor for each cost, as it came if `before` tells that, or as it is.

    It is what anyone has who keeps the anchors; empty for one anchor, or where none is scored.
    """
    rows = [row for one in (table, before) if one is not None for row in one.anchors if measured(row, cost, score)]
    points = sorted((row.values[cost], column(score).badness(row.values[score]), row.values[score]) for row in rows)
    found: list[tuple[float, float, float]] = []
    for point in points:
        if not found or point[1] < found[-1][1]:
            found.append(point)
    return [(at, value) for at, _, value in found] if len(table.anchors) > 1 else []


def score_range(table: StitchTable, before: StitchTable | None, cost: str, score: str) -> tuple[float, float]:
    """Return the ends of the score axis.

    All of `table` is inside. Of `before`, as much as leaves `table` two fifths of the height: stitches that have
    not been trained can be arbitrarily bad, and would squeeze the curve into a line.

    Raises:
        TableError: If a column is missing, or no stitch has both a finite cost and a finite score.
    """
    require_columns(table, cost, score)
    values = _scores(table, cost, score)
    if not values:
        raise TableError(
            f"No stitch of the table has a finite {cost!r} and {score!r}; `snnet evaluate` measures scores."
        )
    low, high = min(values), max(values)
    reach = 1.5 * max(high - low, 1.0 if column(score).higher_is_better else 0.1)
    earlier = _scores(before, cost, score) if before else []
    low = min([low, *(max(value, low - reach) for value in earlier)])
    high = max([high, *(min(value, high + reach) for value in earlier)])
    margin = 0.1 * max(high - low, 1e-6 + 0.01 * abs(high))
    return low - margin, high + margin


def _scores(table: StitchTable, cost: str, score: str) -> list[float]:
    return [row.values[score] for row in table if measured(row, cost, score)]
