"""Which stitches are worth having, and how a whole network compares with its anchors."""

from itertools import groupby, pairwise

from snnet.errors import TableError
from snnet.table.columns import COST, column
from snnet.table.row import StitchRow
from snnet.table.table import StitchTable
from snnet.table.values import measured, require_columns


def pareto_frontier(table: StitchTable, cost: str = COST, score: str | None = None) -> StitchTable:
    """Return the stitches that no other equals or beats in both columns, from the cheapest to the most expensive.

    Stitches with the same cost and the same score stay together. Rows without a finite value in both columns
    are passed over. Lower is better, except in top-1, top-5 and throughput.

    Args:
        table: Stitches with both columns.
        cost: Column in which less is better.
        score: Column in which, but for costs, more is better; `table.score` if None.

    Returns:
        The rows of the frontier, cheapest first, with the table's facts.

    Raises:
        TableError: If no row has one of the columns.
    """
    score = score or table.score
    frontier: list[StitchRow] = []
    badness = column(score).badness
    best = float("inf")
    for _, rows in groupby(_by_cost(table, cost, score), key=lambda row: row.values[cost]):
        tied = list(rows)
        lowest = badness(tied[0].values[score])
        if lowest < best:
            best = lowest
            frontier += [row for row in tied if badness(row.values[score]) == lowest]
    return StitchTable(frontier, table.meta, table.hits)


def hypervolume(
    table: StitchTable,
    cost: str = COST,
    score: str | None = None,
    *,
    reference: tuple[float, float] | None = None,
) -> float:
    """Return the area under the frontier, in units of cost times score (for instance MACs times percent).

    Args:
        table: Stitches with both columns; 0.0 where none is scored.
        cost: Column of the first axis.
        score: Column of the second axis; `table.score` if None.
        reference: The corner (cost, score) that the area is measured from. Stitches no better than it add nothing.
            Default: the worst cost and the worst score in the table; give one to compare tables.

    Raises:
        TableError: If no row has one of the columns.
    """
    score = score or table.score
    rows = _by_cost(table, cost, score)
    if not rows:
        return 0.0
    x_of, y_of = column(cost).badness, column(score).badness
    if reference is None:
        corner = (max(x_of(row.values[cost]) for row in rows), max(y_of(row.values[score]) for row in rows))
    else:
        corner = (x_of(reference[0]), y_of(reference[1]))
    points = [
        (min(x_of(row.values[cost]), corner[0]), min(y_of(row.values[score]), corner[1]))
        for row in pareto_frontier(table, cost, score)
    ]
    return sum((end - x) * (corner[1] - y) for (x, y), (end, _) in pairwise([*points, corner]))


def line_between_anchors(
    anchors: StitchTable, at: float | StitchRow, cost: str = COST, score: str | None = None
) -> float:
    """Return the score at a cost on the straight lines that join the anchors in order of cost.

    Args:
        anchors: A table with the anchors' own costs and scores; other rows in it are passed over.
        at: A cost; or a stitch, and then only the anchors of its route are joined. The end lines go on
            beyond the cheapest and the largest anchor (a stitching layer can make a stitch cost more than both).
        cost: Column of the cost.
        score: Column of the score; `anchors.score` if None.

    Raises:
        TableError: If a column, or the score of an anchor that is needed, is missing.
    """
    score = score or anchors.score
    own = None if isinstance(at, float | int) else set(at.route.anchors)
    x = at if isinstance(at, float | int) else at.values[cost]
    rows = _by_cost(anchors.anchors, cost, score)
    rows = [row for row in rows if own is None or row.route.anchors[0] in own]
    if len(rows) < len(own or (0,)):
        have = {row.route.anchors[0] for row in rows}
        lacking = ", ".join(str(number) for number in sorted((own or {0}) - have))
        raise TableError(f"The table of anchors has no {cost!r} and {score!r} for anchor {lacking}; measure it first.")
    # Of anchors that cost the same, only the best makes a corner of the line.
    points = [(row.values[cost], row.values[score]) for row in rows]
    corners = [next(same) for _, same in groupby(points, key=lambda point: point[0])]
    if len(corners) == 1:
        return corners[0][1]
    corners.sort()
    last = (corners[-2], corners[-1])
    (x0, y0), (x1, y1) = next((piece for piece in pairwise(corners) if x <= piece[1][0]), last)
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def gap_to_lines(
    table: StitchTable, anchors: StitchTable, cost: str = COST, score: str | None = None
) -> dict[str, float]:
    """Return, for each scored stitch with a cut, how far it lies above the line of its own anchors.

    The line of one anchor alone, of which a route leaves blocks out, is level.
    Positive is better than the line, negative worse, in points of `score`; see `line_between_anchors`.
    """
    score = score or table.score
    require_columns(table, cost, score)
    alone, badness = anchors.anchors, column(score).badness
    return {
        row.stitch: badness(line_between_anchors(alone, row, cost, score)) - badness(row.values[score])
        for row in table.stitched
        if measured(row, cost, score)
    }


def anchor_regression(before: StitchTable, after: StitchTable, score: str | None = None) -> dict[str, float]:
    """Return, for each anchor of `before`, the points of `score` it has lost in `after`; a gain is negative.

    Raises:
        TableError: If an anchor is not scored in both tables.
    """
    score = score or after.score
    require_columns(before, score)
    require_columns(after, score)
    lost, badness = {}, column(score).badness
    for row in before.anchors:
        if row.stitch not in after or not measured(row, score) or not measured(after[row.stitch], score):
            raise TableError(f"Anchor {row.stitch} has no finite {score!r} in both tables; evaluate it in both.")
        lost[row.stitch] = badness(after[row.stitch].values[score]) - badness(row.values[score])
    return lost


def _by_cost(table: StitchTable, cost: str, score: str) -> list[StitchRow]:
    require_columns(table, cost, score)
    rows = (row for row in table if measured(row, cost, score))
    x, y = column(cost).badness, column(score).badness
    return sorted(rows, key=lambda row: (x(row.values[cost]), y(row.values[score]), row.index))
