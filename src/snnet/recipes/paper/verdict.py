"""Does what was measured confirm the paper's observation: comparisons of numbers, with the numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snnet.recipes.paper.measures import MEANINGS, MEASURES, Range
from snnet.recipes.paper.values import Claim
from snnet.table import StitchTable


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
        left = f"{self.claim.left} {_number(self.left)}"
        right = _number(self.right)
        if isinstance(self.claim.right, str):
            right = f"{self.claim.right} {right}"
        return f"{result}: {MEANINGS[self.claim.measure]}: {left}, expected {self._expected()} {right}"

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
        return f"confirmed in part, {holding} of {len(self.findings)} comparisons"


def judge(claims: Sequence[Claim], tables: Mapping[str, StitchTable], budgets: Range) -> Verdict:
    """Return how each claim comes out.

    Args:
        claims: What is compared.
        tables: Label -> its stitches.
        budgets: Range of MACs over which curves are averaged, the same for all.
    """

    def value(measure: str, side: str | float) -> float | None:
        if not isinstance(side, str):
            return float(side)
        table = tables.get(side)
        return None if table is None else MEASURES[measure](table, budgets)  # type: ignore[index]

    return Verdict(
        tuple(Finding(claim, value(claim.measure, claim.left), value(claim.measure, claim.right)) for claim in claims)
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
