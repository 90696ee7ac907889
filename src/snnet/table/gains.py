# Tested in tests/table/test_height.py.
"""How high a frontier is, and by how much it is higher than another, as values; and the budgets that both are over."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from snnet.table.columns import COST, SCORE, column
from snnet.utils import counted

BUDGETS = 200
"""Budgets over which heights are means."""


@dataclass(frozen=True)
class Height:
    """The mean score of the stitches that would be chosen, over budgets evenly spaced between two costs.

    Attributes:
        percent: The height, in the unit of the score.
        standard_error: Of the height, in points: that of a mean over images, the choice given; where images are not
            right or wrong, from how far two halves of them differ.
        folds: Parts of the images; each reports what was chosen on the others.
        images: Number of images.
        low: Smallest budget.
        high: Largest budget.
        cost: Column of the budgets.
        score: Column of the score.
    """

    percent: float
    standard_error: float
    folds: int
    images: int
    low: float
    high: float
    cost: str = COST
    score: str = SCORE

    @property
    def text(self) -> str:
        """The height as it is printed, with its unit."""
        known = column(self.score)
        return f"{known.text(self.percent)} {known.unit}".rstrip()


@dataclass(frozen=True)
class Gain:
    """By how much one frontier lies above another over the same budgets.

    Attributes:
        points: The difference of the heights, in points of the score; positive is better.
        standard_error: Of the difference, paired: both have reported on the same images.
        frontier: Height of the one.
        anchors: Height of the other: the anchors alone.
        left_out: Scored stitches that have no hits and could not be chosen, such as predicted ones.
        at_any_budget: Whether there is one anchor alone, which is then compared with at smaller budgets, too.
    """

    points: float
    standard_error: float
    frontier: Height
    anchors: Height
    left_out: int = 0
    at_any_budget: bool = False

    def __str__(self) -> str:
        height, unit = self.frontier, column(self.frontier.score).unit
        digits, of = (2, "points") if unit == "%" else (3, unit)
        points = round(self.points, digits) + 0.0  # which makes no -0.00
        amount = f"{points:+.{digits}f} ± {self.standard_error:.{digits}f} {of}".rstrip()
        # Two standard errors are seldom chance.
        verdict = ": the anchors alone are better" if self.points + 2 * self.standard_error < 0 else ""
        about, other = "Gain over keeping the anchors", "anchors alone"
        if self.at_any_budget:  # it keeps none of the smaller ones, so that to be a little worse is no verdict
            about = f"At {100 * height.low / height.high:.0f} to 100 % of the anchor's cost, against all of the anchor"
            verdict, other = "", "anchor"
        without = f"; {counted(self.left_out, 'stitch')} without hits left out" if self.left_out else ""
        split = "half" if height.folds == 2 else f"{height.folds - 1} of {height.folds} parts"
        return (
            f"{about}: {amount}{verdict} "
            f"(frontier {height.text}, {other} {self.anchors.text}; chosen on {split} of the "
            f"{height.images:,} images, reported on the other{'s' if height.folds > 2 else ''}{without})"
        )


def spaced_budgets(ends: Iterable[float]) -> list[float]:
    """Return budgets evenly spaced between the least and the largest of some costs."""
    low, *_, high = sorted([*ends] * 2)
    # The last one as it is: rounded, it might not pay for the largest anchor.
    return [*(low + (high - low) * step / (BUDGETS - 1) for step in range(BUDGETS - 1)), high]


def ends_of_budgets(anchors: Sequence[float], cheapest: float) -> list[float]:
    """Return costs between the least and largest of which budgets lie, from those of anchors and the least of all."""
    ends = [*anchors]
    if len(ends) == 1:  # what is below zero is better the more it is, as throughput
        ends.append(max(min(ends[0] / 2, 2 * ends[0]), cheapest))
    return ends
