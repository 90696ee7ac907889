"""How high a frontier is by scores that are no means over images, such as mIoU, chosen on half of the images.

A table then has each score on two fixed halves of the images, too (`half_of`).
"""

from bisect import bisect_right
from collections.abc import Sequence
from statistics import fmean

from snnet.errors import TableError
from snnet.table.columns import HALVES, column, half_of
from snnet.table.gains import Gain, Height, ends_of_budgets, spaced_budgets
from snnet.table.table import StitchTable
from snnet.table.values import measured, require_columns

# Cost, for the axis, and how bad the score is on each half.
_Candidate = tuple[float, tuple[float, ...]]


def has_halves(table: StitchTable) -> bool:
    """Return whether stitches of a table have their score on both halves of the images."""
    return any(measured(row, *_names(table)) for row in table)


def height_by_halves(table: StitchTable, cost: str, between: tuple[float, float] | None) -> Height:
    """Return what `frontier_height` returns, from the halves."""
    found = _candidates(table, cost)
    ends = [column(cost).badness(end) for end in between] if between else _ends(found, _alone(table, cost))
    budgets = spaced_budgets(ends)
    return _height(table, cost, budgets, _reported(found, budgets))


def gain_by_halves(table: StitchTable, cost: str) -> Gain:
    """Return what `frontier_gain` returns, from the halves."""
    found, alone = _candidates(table, cost), _alone(table, cost)
    budgets = spaced_budgets(_ends(found, alone))
    kept = [(budgets[0], score) for _, score in alone] if len(alone) == 1 else alone
    ours, theirs = (_reported(some, budgets) for some in (found, kept))
    gains = [other - own for own, other in zip(ours, theirs, strict=True)]  # of what is bad
    frontier, anchors = (_height(table, cost, budgets, one) for one in (ours, theirs))
    left_out = sum(measured(row, cost, table.score) and not measured(row, *_names(table)) for row in table)
    return Gain(fmean(gains), _error(gains), frontier, anchors, left_out, budgets[0] < min(alone)[0])


def _names(table: StitchTable) -> list[str]:
    return [half_of(table.score, half) for half in range(HALVES)]


def _candidates(table: StitchTable, cost: str) -> list[_Candidate]:
    require_columns(table, cost, *_names(table))
    at, bad = column(cost).badness, column(table.score).badness
    rows = (row for row in table if measured(row, cost, *_names(table)))
    return sorted((at(row.values[cost]), tuple(bad(row.values[name]) for name in _names(table))) for row in rows)


def _alone(table: StitchTable, cost: str) -> list[_Candidate]:
    if not len(table.anchors):
        raise TableError("The table has no anchors, between whose costs the budgets lie; say between=(LOW, HIGH).")
    return _candidates(table.anchors, cost)


def _ends(found: Sequence[_Candidate], alone: Sequence[_Candidate]) -> list[float]:
    return ends_of_budgets([cost for cost, _ in alone], min(found)[0])


def _reported(candidates: Sequence[_Candidate], budgets: Sequence[float]) -> list[float]:
    """Return how bad what is chosen on the other half is on each half, the mean over budgets."""
    if not candidates or candidates[0][0] > budgets[0]:
        raise TableError("No stitch with a score on both halves keeps the smallest budget; say between=(LOW, HIGH).")
    reported = []
    for half in range(HALVES):
        costs: list[float] = []
        best: list[tuple[float, float]] = []  # on the half that chooses, and on the other
        for cost, scores in candidates:
            if not best or scores[1 - half] < best[-1][0]:
                costs.append(cost)
                best.append((scores[1 - half], scores[half]))
        reported.append(fmean(best[bisect_right(costs, budget) - 1][1] for budget in budgets))
    return reported


def _error(halves: Sequence[float]) -> float:
    """Return the standard error of the mean of two halves."""
    return abs(halves[0] - halves[1]) / 2


def _height(table: StitchTable, cost: str, budgets: Sequence[float], bad: Sequence[float]) -> Height:
    low, high = sorted(column(cost).badness(at) for at in (budgets[0], budgets[-1]))
    images = int(table.meta.get("images") or 0)
    score = column(table.score).badness(fmean(bad))
    return Height(score, _error(bad), HALVES, images, low, high, cost, table.score)
