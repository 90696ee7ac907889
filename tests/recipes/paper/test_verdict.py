import pytest

from snnet.recipes.paper import Claim, judge
from snnet.recipes.paper.verdict import MEASURES
from snnet.table import StitchRow, StitchTable

BUDGETS = (100.0, 300.0)


def table(*points: tuple[str, float, float]) -> StitchTable:
    return StitchTable(StitchRow(n, s, {"macs": macs, "top1": top1}) for n, (s, macs, top1) in enumerate(points))


GOOD = table(("0:0-4", 100, 60.0), ("1:0-4", 300, 80.0), ("0:0-2,1:2-4", 200, 74.0))
POOR = table(("0:0-4", 100, 60.0), ("1:0-4", 300, 80.0), ("0:0-2,1:2-4", 200, 50.0))


def test_measures_by_hand() -> None:
    values = {name: measure.of(GOOD, BUDGETS) for name, measure in MEASURES.items()}
    # Half of the budgets buy 60, the other half 74.
    assert values == pytest.approx({"mean": 74, "lowest": 74, "curve": 67, "gap": 4, "rank": 1})
    poor = {name: measure.of(POOR, BUDGETS) for name, measure in MEASURES.items()}
    assert poor == pytest.approx({"mean": 50, "lowest": 50, "curve": 60, "gap": -20, "rank": 0.5})


def test_a_budget_under_the_cheapest_route_buys_nothing() -> None:
    assert MEASURES["curve"].of(GOOD, (0.0, 200.0)) == pytest.approx(30.0)


def test_anchors_alone_have_no_stitches_to_measure() -> None:
    alone = GOOD.anchors
    assert [MEASURES[name].of(alone, BUDGETS) for name in ("mean", "lowest", "gap", "rank")] == [None] * 4


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        (Claim("mean", "good", "above", "poor"), True),
        (Claim("mean", "poor", "above", "good"), False),
        (Claim("mean", "good", "above", "good"), False),
        (Claim("mean", "good", "at least", "good"), True),
        (Claim("mean", "poor", "at least", "good", 24.0), True),
        (Claim("mean", "good", "above", "poor", 24.0), False),
        (Claim("mean", "good", "near", "poor", 23.0), False),
        (Claim("mean", "poor", "near", "good", 24.0), True),
        (Claim("rank", "good", "above", 0.8), True),
        (Claim("gap", "poor", "at least", 0.0, 1.5), False),
        (Claim("mean", "alone", "above", "poor"), None),
    ],
)
def test_claims(claim: Claim, holds: bool | None) -> None:
    verdict = judge([claim], {"good": GOOD, "poor": POOR, "alone": GOOD.anchors}, BUDGETS)
    assert verdict.findings[0].holds is holds
    assert verdict.words == ("confirmed" if holds else "not confirmed")


def test_the_words_carry_the_numbers() -> None:
    claims = [Claim("mean", "good", "above", "poor"), Claim("mean", "poor", "near", "good", 1.0)]
    verdict = judge(claims, {"good": GOOD, "poor": POOR}, BUDGETS)
    assert verdict.words == "confirmed in part, 1 of 2 comparisons"
    assert str(verdict.findings[0]) == "holds: mean top-1 of the stitches: good 74.00, expected above poor 50.00"
    assert str(verdict.findings[1]).startswith("does not hold") and "within 1 of good 74.00" in str(verdict.findings[1])
