"""Does what was measured confirm the paper's observation: comparisons of numbers, with the numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from snnet.errors import TableError
from snnet.recipes.paper.catalogue import Claim, MeasureName
from snnet.table import StitchTable, gap_to_lines, measured, pareto_frontier
from snnet.utils import counted

Range = tuple[float, float]
"""The lowest and the highest budget, in MACs."""


@dataclass(frozen=True)
class Measure:
    """What one table of stitches comes to, as one number.

    Attributes:
        heading: Of its column.
        meaning: In words.
        of: From a table and the range of budgets to the number; None where the table does not give one.
    """

    heading: str
    meaning: str
    of: Callable[[StitchTable, Range], float | None]


def _scores(table: StitchTable) -> list[float]:
    return [row.values["top1"] for row in table if measured(row, "macs", "top1")]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _mean_under_budgets(table: StitchTable, budgets: Range) -> float | None:
    """Return the top-1 of the best route under a budget, averaged over all budgets; where none fits, 0 counts."""
    low, high = budgets
    if not _scores(table) or high <= low:
        return None
    frontier = [row for row in pareto_frontier(table) if row.macs <= high]
    points = [(max(low, row.macs), row.top1) for row in frontier]
    ends = [start for start, _ in points[1:]] + [high]
    return sum((end - start) * score for (start, score), end in zip(points, ends, strict=False)) / (high - low)


def _mean_gap(table: StitchTable) -> float | None:
    """Return how far the stitches lie above the lines between the network's own anchors, on average, in points."""
    try:
        return _mean([*gap_to_lines(table, table).values()]) if _scores(table.stitched) else None
    except TableError:
        return None


def _rank_correlation(table: StitchTable) -> float | None:
    """Return Spearman's correlation of MACs and top-1 over all routes: 1 if more MACs are always better."""
    kept = table.where(lambda row: measured(row, "macs", "top1"))
    if len(kept) < 3:
        return None
    frame = kept.to_pandas()
    value = float(frame["macs"].rank().corr(frame["top1"].rank()))
    return value if value == value else None


MEASURES: Mapping[MeasureName, Measure] = {
    "mean": Measure("mean", "mean top-1 of the stitches", lambda table, _: _mean(_scores(table.stitched))),
    "lowest": Measure(
        "worst", "top-1 of the worst stitch", lambda table, _: min(_scores(table.stitched), default=None)
    ),
    "curve": Measure("under budgets", "top-1 of the best route under a budget, mean over budgets", _mean_under_budgets),
    "gap": Measure(
        "above the lines",
        "mean distance of the stitches above the lines between the network's own anchors",
        lambda table, _: _mean_gap(table),
    ),
    "rank": Measure("rank", "rank correlation of MACs and top-1", lambda table, _: _rank_correlation(table)),
}


@dataclass(frozen=True)
class Finding:
    """A claim with its two numbers; None where the tables do not give one.

    Attributes:
        claim: What was compared.
        left: The number of the claim's left side.
        right: The number of its right side.
    """

    claim: Claim
    left: float | None
    right: float | None

    @property
    def holds(self) -> bool | None:
        """Whether the comparison holds; None if a number is missing."""
        if self.left is None or self.right is None:
            return None
        difference, margin = self.left - self.right, self.claim.margin
        if self.claim.relation == "near":
            return abs(difference) <= margin
        return difference > margin if self.claim.relation == "above" else difference >= -margin

    def __str__(self) -> str:
        """Say the comparison with its numbers and how it came out."""
        result = {True: "holds", False: "does not hold", None: "cannot be told"}[self.holds]
        left = f"{self.claim.left} {shown(self.left)}"
        right = shown(self.right)
        if isinstance(self.claim.right, str):
            right = f"{self.claim.right} {right}"
        return f"{result}: {MEASURES[self.claim.measure].meaning}: {left}, expected {self._expected()} {right}"

    def _expected(self) -> str:
        margin = f"{self.claim.margin:g}"
        if self.claim.relation == "near":
            return f"within {margin} of"
        if not self.claim.margin:
            return self.claim.relation
        return f"more than {margin} above" if self.claim.relation == "above" else f"at most {margin} below"


@dataclass(frozen=True)
class Verdict:
    """All findings of an experiment."""

    findings: tuple[Finding, ...]

    @property
    def words(self) -> str:
        """`confirmed`, `not confirmed`, or `confirmed in part` with the counts."""
        holding = sum(finding.holds is True for finding in self.findings)
        if holding in (0, len(self.findings)):
            return "confirmed" if holding else "not confirmed"
        return f"confirmed in part, {holding} of {counted(len(self.findings), 'comparison')}"


def judge(claims: Sequence[Claim], tables: Mapping[str, StitchTable], budgets: Range) -> Verdict:
    """Return how each claim comes out.

    Args:
        claims: What is compared.
        tables: Label -> its stitches.
        budgets: Range of MACs over which curves are averaged, the same for all.
    """

    def value(claim: Claim, side: str | float) -> float | None:
        if not isinstance(side, str):
            return side
        return MEASURES[claim.measure].of(tables[side], budgets) if side in tables else None

    return Verdict(tuple(Finding(claim, value(claim, claim.left), value(claim, claim.right)) for claim in claims))


def shown(value: float | None) -> str:
    """Return a number as tables and findings show it; a dash where there is none."""
    return "-" if value is None else f"{value:.2f}"
