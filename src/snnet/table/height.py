"""How high a frontier is, measured fairly: chosen on some images and reported on others.

The best of many stitches on some images looks better there than it is. So the stitch for each budget is chosen on all
folds of the images but one and reported on that one, in turn, until every image has reported once. What is reported of
an image, its part of budgets whose stitch is right on it, is a number from 0 to 1; the height is their mean.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from snnet.errors import TableError
from snnet.table.columns import COST, column
from snnet.table.gains import BUDGETS, Gain, Height, ends_of_budgets, spaced_budgets
from snnet.table.halves import gain_by_halves, has_halves, height_by_halves
from snnet.table.hits import Hits
from snnet.table.table import StitchTable
from snnet.table.values import measured, require_columns

# Cost, for the axis, and what is right, for each candidate.
_Candidate = tuple[float, int]


def frontier_height(
    table: StitchTable,
    hits: Hits | None = None,
    *,
    cost: str = COST,
    folds: int = 2,
    between: tuple[float, float] | None = None,
) -> Height:
    """Return the height of the frontier of a table's stitches; of `table.anchors`, that of the anchors alone.

    Stitches without hits, such as predicted ones, or without the cost are passed over. Image `i` lies in fold
    `i % folds`. Of stitches that are equally good on the images that choose, the cheaper is chosen. Where images are
    not right or wrong, the folds are the two halves on which the table has its score.

    Args:
        table: Stitches with the cost.
        hits: What they got right; those that the table was evaluated with if None.
        cost: Column of the budgets.
        folds: Parts of the images, 2 or more; with few images, more of them choose.
        between: Smallest and largest budget; by default the costs of the cheapest and the most expensive anchor, or
            of one anchor alone from half of its cost on, as far as there are stitches.

    Raises:
        TableError: If there are no hits, no anchors, no such column, a budget that nothing keeps, or other folds than
            from 2 to the number of images.
    """
    if hits is None and has_halves(table):
        return height_by_halves(table, cost, between)
    known = _hits_of(table, hits)
    found = _candidates(table, known, cost)
    ends = tuple(map(column(cost).badness, between)) if between else _ends(found, table)
    budgets = spaced_budgets(ends)
    return _height(_chosen(found.values(), known.images, folds, budgets), known.images, (cost, table.score), budgets)


def frontier_gain(
    table: StitchTable,
    hits: Hits | None = None,
    *,
    cost: str = COST,
    folds: int = 2,
) -> Gain:
    """Return by how much the frontier of a table lies above its anchors alone, which anyone can keep instead.

    The anchors alone are chosen for each budget as the stitches are. Where hits tell how the anchors were before
    training, each can be had as it came or as it is now.

    One anchor alone counts at all budgets, though it keeps none under its own cost: what is lost is a negative gain.

    Args:
        table: Stitches with the cost, anchors among them.
        hits: As for `frontier_height`.
        cost: Column of the budgets; they lie where `frontier_height` has them.
        folds: As for `frontier_height`.

    Raises:
        TableError: As for `frontier_height`.
    """
    if hits is None and has_halves(table):
        return gain_by_halves(table, cost)
    known = _hits_of(table, hits)
    found = _candidates(table, known, cost)
    alone = _anchors(found, table)
    came = [(found[name][0], bits) for name, bits in known.before.items() if name in found]
    budgets = spaced_budgets(_ends(found, table))
    kept = [(budgets[0], bits) if len(alone) == 1 else (at, bits) for at, bits in (*alone, *came)]
    ours, theirs = (_chosen(some, known.images, folds, budgets) for some in (found.values(), kept))
    differences = [Counter(fold) for fold in ours]
    for fold, other in zip(differences, theirs, strict=True):
        fold.subtract(other)
    frontier, anchors = (_height(one, known.images, (cost, table.score), budgets) for one in (ours, theirs))
    left_out = sum(measured(row, cost, table.score) and row.stitch not in found for row in table)
    return Gain(*_mean(differences, known.images), frontier, anchors, left_out, budgets[0] < min(alone)[0])


def gain_if_known(table: StitchTable) -> Gain | None:
    """Return the gain over budgets of MACs, or None where the table lacks hits of stitches or of anchors, or MACs."""
    try:
        return frontier_gain(table) if table.stitched.hits or has_halves(table.stitched) else None
    except TableError:
        return None


def knowing_before(table: StitchTable, before: StitchTable) -> StitchTable:
    """Return a table whose hits tell, too, how the anchors were in a table of before they were trained."""
    return table if table.hits is None else StitchTable(table, table.meta, table.hits.with_before(before.anchors.hits))


def _hits_of(table: StitchTable, hits: Hits | None) -> Hits:
    known = table.hits if hits is None else hits
    if known is None:
        raise TableError(
            "The table has no hits of single images, on which a frontier is chosen and reported; `snnet evaluate` "
            "into a file that holds no scores yet keeps them."
        )
    return known


def _candidates(table: StitchTable, hits: Hits, cost: str) -> dict[str, _Candidate]:
    require_columns(table, cost)
    at = column(cost).badness
    rows = (row for row in table if measured(row, cost) and row.stitch in hits)
    return {row.stitch: (at(row.values[cost]), hits.bits[row.stitch]) for row in rows}


def _anchors(found: Mapping[str, _Candidate], table: StitchTable) -> list[_Candidate]:
    names = [row.stitch for row in table.anchors]
    if lacking := [name for name in names if name not in found]:
        raise TableError(f"Anchor {lacking[0]} has no hits or no cost; evaluate and profile all anchors.")
    if not names:
        raise TableError("The table has no anchors, between whose costs the budgets lie; say between=(LOW, HIGH).")
    return [found[name] for name in names]


def _ends(found: Mapping[str, _Candidate], table: StitchTable) -> list[float]:
    """Return costs between the least and largest of which the budgets lie."""
    return ends_of_budgets([at for at, _ in _anchors(found, table)], min(found.values())[0])


def _chosen(
    candidates: Iterable[_Candidate], images: int, folds: int, budgets: Sequence[float]
) -> list[Mapping[int, int]]:
    """Return, for each fold, what the chosen stitches got right there -> by how many budgets they are chosen."""
    if not 2 <= folds <= images:
        raise TableError(f"folds={folds} of {images} images; give 2 or more, and at most one for each image.")
    ordered = sorted(candidates, key=lambda one: one[0])
    if not ordered or ordered[0][0] > budgets[0]:
        raise TableError("No stitch with hits keeps the smallest budget; say between=(LOW, HIGH).")
    every = (1 << images) - 1
    first = ((1 << folds * -(-images // folds)) - 1) // ((1 << folds) - 1)  # a one in every place i with i % folds == 0
    reported: list[Mapping[int, int]] = []
    for fold in range(folds):
        there = (first << fold) & every
        costs: list[float] = []
        best: list[_Candidate] = []  # right answers that choose, and bits, of the best so far
        for cost, bits in ordered:
            score = (bits & ~there).bit_count()
            if not best or score > best[-1][0]:
                costs.append(cost)
                best.append((score, bits))
        places = Counter(bisect_right(costs, budget) - 1 for budget in budgets)
        weights: Counter[int] = Counter()
        for place, count in places.items():
            weights[best[place][1] & there] += count
        reported.append(weights)
    return reported


def _mean(folds: Iterable[Mapping[int, int]], images: int) -> tuple[float, float]:
    """Return the mean over images of what they report, in percent, and its standard error; exact until the end."""
    total = squares = 0
    for fold in folds:
        total += sum(weight * bits.bit_count() for bits, weight in fold.items())
        squares += sum(v * w * (a & b).bit_count() for a, v in fold.items() for b, w in fold.items())
    spread = (images * squares - total**2) / (images - 1)
    return 100 * total / (BUDGETS * images), 100 * math.sqrt(spread) / (BUDGETS * images)


def _height(
    folds: Sequence[Mapping[int, int]], images: int, columns: tuple[str, str], budgets: Sequence[float]
) -> Height:
    low, high = sorted(column(columns[0]).badness(at) for at in (budgets[0], budgets[-1]))
    return Height(*_mean(folds, images), len(folds), images, low, high, *columns)
