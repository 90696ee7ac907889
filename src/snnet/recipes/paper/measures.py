# Tested in tests/recipes/paper/test_verdict.py.
"""What one table of stitches comes to, as one number."""

from collections.abc import Callable, Mapping
from statistics import fmean

from snnet.errors import TableError
from snnet.recipes.paper.values import Measure
from snnet.table import StitchTable, gap_to_lines, measured, pareto_frontier

Range = tuple[float, float]
"""The lowest and the highest budget, in MACs."""


def mean_of_stitches(table: StitchTable, budgets: Range) -> float | None:  # noqa: ARG001
    """Return the mean top-1 of all stitches of two or more anchors."""
    scores = _scores(table.stitched)
    return fmean(scores) if scores else None


def lowest_stitch(table: StitchTable, budgets: Range) -> float | None:  # noqa: ARG001
    """Return the top-1 of the worst stitch of two or more anchors."""
    return min(_scores(table.stitched), default=None)


def mean_under_budgets(table: StitchTable, budgets: Range) -> float | None:
    """Return the top-1 of the best route under a budget, averaged over all budgets; where none fits, 0 counts."""
    low, high = budgets
    if not _scores(table) or high <= low:
        return None
    frontier = [row for row in pareto_frontier(table) if row.macs <= high]
    points = [(max(low, row.macs), row.top1) for row in frontier]
    ends = [start for start, _ in points[1:]] + [high]
    return sum((end - start) * score for (start, score), end in zip(points, ends, strict=False)) / (high - low)


def rank_correlation(table: StitchTable, budgets: Range) -> float | None:  # noqa: ARG001
    """Return Spearman's correlation of MACs and top-1 over all routes: 1 if more MACs are always better."""
    kept = table.where(lambda row: measured(row, "macs", "top1"))
    if len(kept) < 3:
        return None
    frame = kept.to_pandas()
    value = float(frame["macs"].rank().corr(frame["top1"].rank()))
    return value if value == value else None


def mean_gap(table: StitchTable, budgets: Range) -> float | None:  # noqa: ARG001
    """Return how far the stitches lie above the lines between the network's own anchors, on average, in points."""
    try:
        gaps = gap_to_lines(table, table) if _scores(table.stitched) else {}
    except TableError:
        return None
    return fmean(gaps.values()) if gaps else None


MEASURES: Mapping[Measure, Callable[[StitchTable, Range], float | None]] = {
    "mean": mean_of_stitches,
    "lowest": lowest_stitch,
    "curve": mean_under_budgets,
    "gap": mean_gap,
    "rank": rank_correlation,
}

MEANINGS: Mapping[Measure, str] = {
    "mean": "mean top-1 of the stitches",
    "lowest": "top-1 of the worst stitch",
    "curve": "top-1 of the best route under a budget, mean over budgets",
    "gap": "mean distance of the stitches above the lines between the network's own anchors",
    "rank": "rank correlation of MACs and top-1",
}


def _scores(table: StitchTable) -> list[float]:
    return [row.values["top1"] for row in table if measured(row, "macs", "top1")]
