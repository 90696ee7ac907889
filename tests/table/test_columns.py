import math

import pytest

from snnet.errors import BudgetError
from snnet.table import (
    StitchRow,
    StitchTable,
    at_batch,
    higher_is_better,
    is_predicted,
    measured,
    measured_batches,
    missing_column,
    without_predictions,
)
from snnet.table.columns import badness

ROW = StitchRow(0, "0:0-4", {"macs": 5, "top1": math.nan})


@pytest.mark.parametrize("column", ["top1", "top5", "throughput", "throughput@8"])
def test_scores_and_throughput_are_better_when_higher(column: str) -> None:
    assert higher_is_better(column)
    assert badness(column, 2) < badness(column, 1)


@pytest.mark.parametrize("column", ["macs", "params", "loss", "latency_ms", "latency_ms@8", "memory_bytes"])
def test_everything_else_is_better_when_lower(column: str) -> None:
    assert not higher_is_better(column)
    assert badness(column, 1) < badness(column, 2)


def test_nan_and_missing_values_are_not_measured() -> None:
    assert measured(ROW, "macs")
    assert not measured(ROW, "macs", "top1")
    assert not measured(ROW, "params")


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("latency_ms", "it has macs, top1. `snnet profile` adds it."),
        ("loss", "`snnet evaluate` adds it."),
        ("mac", "Did you mean 'macs'?"),
    ],
)
def test_a_missing_column_names_those_there_are_and_the_command(column: str, said: str) -> None:
    assert said in str(missing_column(StitchTable([ROW]), column))


def test_an_empty_table_says_so() -> None:
    assert "no columns at all" in str(missing_column(StitchTable([]), "macs"))
    assert missing_column(StitchTable([ROW]), "macs") is None


def test_an_error_bar_marks_a_prediction_and_is_better_when_small() -> None:
    rows = [StitchRow(0, "0:0-2", {"top1": 80.0}), StitchRow(1, "1:0-2", {"top1": 81.0, "top1_error": 0.2})]
    table = StitchTable(rows, {"prediction": {"measured": 1}, "images": 10})
    assert not higher_is_better("top1_error")
    assert [is_predicted(row) for row in table] == [False, True]
    left = without_predictions(table)
    assert [dict(row.values) for row in left] == [{"top1": 80.0}, {}]
    assert left.meta == {"images": 10}


def test_columns_of_a_machine_are_named_by_batch() -> None:
    assert at_batch("latency_ms", 8) == "latency_ms@8" and at_batch("latency_ms_p95", 8) == "latency_ms_p95@8"
    assert at_batch("latency_ms", 1) == at_batch("latency_ms", None) == "latency_ms"
    # A batch that is named stays, and what every batch has in common has none.
    assert at_batch("memory_mb@4", 8) == "memory_mb@4" and at_batch("macs", 8) == "macs"
    for wrong in (0, 2.5, True):
        with pytest.raises(BudgetError, match="is not a number of images"):
            at_batch("latency_ms", wrong)  # type: ignore[arg-type]


def test_a_missing_batch_names_those_there_are() -> None:
    values = {"latency_ms@32": 1.0, "latency_ms@8": 1.0, "latency_ms_p95@2": 1.0, "latency_ms@8_error": 0.1}
    table = StitchTable([StitchRow(0, "0:0-4", values)])
    assert measured_batches(table, "latency_ms") == [8, 32]
    message = str(missing_column(table, "latency_ms"))
    assert "no 'latency_ms' at batch 1; it was measured at batch 8, 32. `snnet profile --batch 1` adds it." in message
    assert "`snnet profile` adds it" in str(missing_column(table, "throughput"))


def test_predictions_of_one_column_go_alone() -> None:
    values = {"latency_ms": 2.0, "latency_ms_error": 0.1, "top1": 80.0, "top1_error": 0.2}
    table = StitchTable([StitchRow(0, "0:0-2", values)], {"prediction": {}})
    left = without_predictions(table, "latency_ms")
    assert dict(left[0].values) == {"top1": 80.0, "top1_error": 0.2} and left.meta == table.meta
