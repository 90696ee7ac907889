import pytest

from snnet.errors import TableError
from snnet.table import StitchRow, StitchTable, frontier_gain, frontier_height, gain_if_known, select


def table(*rows: tuple[str, float, float, float], score: str = "miou") -> StitchTable:
    made = [
        StitchRow(n, stitch, {"macs": macs, score: (one + other) / 2, f"{score}_half0": one, f"{score}_half1": other})
        for n, (stitch, macs, one, other) in enumerate(rows)
    ]
    return StitchTable(made, {"score": score, "images": 100})


ROWS = (("0:0-2", 1.0, 50.0, 52.0), ("1:0-2", 3.0, 60.0, 62.0), ("0:0-1,1:1-2", 2.0, 58.0, 40.0))


def test_a_stitch_is_chosen_on_one_half_and_reported_on_the_other() -> None:
    found = frontier_height(table(*ROWS), between=(2.0, 2.0))
    # On half 0 the stitch is the best there is, and gives 40 on half 1; on half 1 it is not chosen.
    assert found.percent == pytest.approx((50.0 + 40.0) / 2) and found.folds == 2 and found.score == "miou"


def test_the_gain_over_anchors_alone() -> None:
    better = (*ROWS[:2], ("0:0-1,1:1-2", 2.0, 58.0, 60.0))
    gain = frontier_gain(table(*better))
    # From 2 to 3, half of the budgets but for those at the ends: 8 points on both halves.
    assert gain.points == pytest.approx(4.0, abs=0.1) and gain.standard_error == pytest.approx(0.0, abs=1e-9)
    assert gain.frontier.percent - gain.anchors.percent == pytest.approx(gain.points)
    assert "points (frontier 55" in str(gain) and "chosen on half of the 100 images" in str(gain)
    assert gain_if_known(table(*better)) == gain and gain_if_known(table(*ROWS[:2])) is None


def test_less_is_better_of_an_error() -> None:
    errors = [("0:0-2", 1.0, 0.5, 0.5), ("1:0-2", 3.0, 0.3, 0.3), ("0:0-1,1:1-2", 2.0, 0.4, 0.4)]
    gain = frontier_gain(table(*errors, score="rmse"))
    assert gain.points > 0 and gain.frontier.percent < gain.anchors.percent
    assert str(gain).startswith(
        f"Gain over keeping the anchors: {gain.points:+.3f} ± {gain.standard_error:.3f} (frontier"
    )
    assert str(select(table(*errors, score="rmse"), macs=2.5)) == "0:0-1,1:1-2"


def test_what_is_missing() -> None:
    with pytest.raises(TableError, match="No stitch with a score on both halves"):
        frontier_height(table(*ROWS), between=(0.1, 0.5))
    with pytest.raises(TableError, match="no anchors"):
        frontier_gain(table(ROWS[2]))
