import numpy as np
import pytest

from snnet.errors import BudgetError, TableError
from snnet.serving import Option, Options
from snnet.table import StitchRow, StitchTable


def table(**more: float) -> StitchTable:
    return StitchTable(
        [
            StitchRow(0, "0:0-12", {"top1": 70.0, "macs": 1e9, "latency_ms": 10.0, "latency_ms@4": 25.0, **more}),
            StitchRow(1, "1:0-12", {"top1": 80.0, "macs": 4e9, "latency_ms_p95": 40.0, "latency_ms": 30.0}),
            StitchRow(2, "0:0-6,1:6-12", {"top1": 69.0, "macs": 2e9, "latency_ms": 20.0}),
            StitchRow(3, "0:0-3,1:3-12", {"macs": 2e9, "latency_ms": 20.0}),
        ]
    )


def test_a_table_becomes_options() -> None:
    found = Options.of(table())
    assert found.stitches == ("0:0-12", "1:0-12"), "what is beaten, or has no score, is left out"
    assert found.scores.tolist() == [70, 80]
    # Between batch sizes on the straight line; the 95th percentile where there is one.
    assert found.latencies[0] == pytest.approx([0.010, 0.015, 0.020, 0.025])
    assert found.latencies[1].tolist() == [0.040, np.inf, np.inf, np.inf]
    assert found.at(0, 2) == Option("0:0-12", 2, pytest.approx(0.015), 70.0)  # type: ignore[arg-type]
    assert (found.max_batch, found.fastest, found.soonest(4)) == (4, 0.010, 0.025)
    assert found.soonest(5) == float("inf")


def test_predicted_latencies_have_their_error_bars_on_top() -> None:
    assert Options.of(table(latency_ms_error=2.0)).fastest == pytest.approx(0.014)


def test_more_images_never_take_less() -> None:
    assert Options.of(table(**{"latency_ms@4": 8.0})).latencies[0].tolist() == [0.010] * 4


def test_wishes_of_requests() -> None:
    found = Options.of(table())
    assert found.within(limits=[("macs", 2e9)]).stitches == ("0:0-12",)
    assert found.within("0:0-6,1:6-12").stitches == ("0:0-6,1:6-12",), "asked for by name it is there"
    with pytest.raises(BudgetError, match="macs <= 1"):
        found.within(limits=[("macs", 1.0)])
    with pytest.raises(BudgetError, match="stitch 5:0-12"):
        found.within("5:0-12")
    assert len(found.of_stitches(["0:0-12", "0:0-6,1:6-12"])) == 2
    with pytest.raises(BudgetError, match="none of the stitches"):
        found.of_stitches(["7"])


def test_a_stitch_in_two_precisions_is_two_rows() -> None:
    found = Options([Option("0:0-12", 1, 0.2, 71.0), Option("0:0-12@int8", 1, 0.1, 70.0)])
    assert found.stitches == ("0:0-12@int8", "0:0-12")


def test_the_factor_is_shared() -> None:
    found = Options.of(table())
    part = found.within("1:0-12")
    found.factor = 2.0
    assert part.factor == 2.0
    assert found.fastest == pytest.approx(0.020)


def test_what_is_impossible_is_refused() -> None:
    with pytest.raises(BudgetError, match="0 options"):
        Options([])
    for one in (Option("0:0-12", 0, 1.0, 1.0), Option("0:0-12", 1, 0.0, 1.0), Option("0:0-12", 1, 1.0, float("nan"))):
        with pytest.raises(BudgetError, match="impossible"):
            Options([one])
    with pytest.raises(TableError, match="snnet profile"):
        Options.of(table().without("latency_ms", "latency_ms@4", "latency_ms_p95"))
    with pytest.raises(TableError, match="snnet evaluate"):
        Options.of(table().without("top1"))


def test_of_errors_less_is_better_and_no_answer_is_the_worst() -> None:
    rows = [StitchRow(n, f"{n}:0-12", {"rmse": error, "latency_ms": 5.0 + n}) for n, error in enumerate((0.5, 0.2))]
    found = Options.of(StitchTable(rows, {"score": "rmse"}))
    assert found.stitches == ("0:0-12", "1:0-12") and found.scores.tolist() == [0.5, 0.8]
    assert (found.at(0, 1).score, found.at(1, 1).score) == (0.5, 0.2), "what is told is what the table says"
    dominated = [*rows, StitchRow(2, "2:0-12", {"rmse": 0.6, "latency_ms": 7.0})]
    assert Options.of(StitchTable(dominated, {"score": "rmse"})).stitches == ("0:0-12", "1:0-12")
