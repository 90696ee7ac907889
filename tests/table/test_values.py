import math

import pytest

from snnet.table import (
    PROFILE,
    StitchRow,
    StitchTable,
    column,
    is_predicted,
    measured,
    measured_batches,
    missing_column,
    without_predictions,
    without_profile,
    without_scores,
)

ROW = StitchRow(0, "0:0-4", {"macs": 5, "top1": math.nan})


def test_nan_and_missing_values_are_not_measured() -> None:
    assert measured(ROW, "macs")
    assert not measured(ROW, "macs", "top1")
    assert not measured(ROW, "params")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("latency_ms", "it has macs, top1. `snnet profile` adds it."),
        ("loss", "`snnet evaluate` adds it."),
        ("mac", "Did you mean 'macs'?"),
    ],
)
def test_a_missing_column_names_those_there_are_and_the_command(name: str, said: str) -> None:
    assert said in str(missing_column(StitchTable([ROW]), name))


def test_an_empty_table_says_so() -> None:
    assert "no columns at all" in str(missing_column(StitchTable([]), "macs"))
    assert missing_column(StitchTable([ROW]), "macs") is None


def test_an_error_bar_marks_a_prediction_and_is_better_when_small() -> None:
    rows = [StitchRow(0, "0:0-2", {"top1": 80.0}), StitchRow(1, "1:0-2", {"top1": 81.0, "top1_error": 0.2})]
    table = StitchTable(rows, {"prediction": {"measured": 1}, "images": 10})
    assert not column("top1_error").higher_is_better
    assert [is_predicted(row) for row in table] == [False, True]
    left = without_predictions(table)
    assert [dict(row.values) for row in left] == [{"top1": 80.0}, {}]
    assert left.meta == {"images": 10}


def test_a_missing_batch_names_those_there_are() -> None:
    values = {"latency_ms@32": 1.0, "latency_ms@8": 1.0, "latency_ms_p95@2": 1.0, "latency_ms@8_error": 0.1}
    table = StitchTable([StitchRow(0, "0:0-4", values)])
    assert measured_batches(table, "latency_ms") == [8, 32]
    message = str(missing_column(table, "latency_ms"))
    assert (
        "no 'latency_ms' at batch 1; it was measured at batch 8, 32. `snnet profile --batch-sizes 1` adds it."
        in message
    )
    assert "`snnet profile` adds it" in str(missing_column(table, "throughput"))


def test_predictions_of_one_column_go_alone() -> None:
    values = {"latency_ms": 2.0, "latency_ms_error": 0.1, "top1": 80.0, "top1_error": 0.2}
    table = StitchTable([StitchRow(0, "0:0-2", values)], {"prediction": {}})
    left = without_predictions(table, "latency_ms")
    assert dict(left[0].values) == {"top1": 80.0, "top1_error": 0.2} and left.meta == table.meta


def test_scores_and_their_error_bars_go_with_the_weights() -> None:
    values = {"macs": 1, "latency_ms": 2.0, "latency_ms_error": 0.1, "speed": 3.0}
    scores = {"top1": 80.0, "top1_error": 0.2, "top5": 90.0, "top5_error": 0.1, "loss": 1.0}
    left = without_scores(StitchTable([StitchRow(0, "0:0-2", {**values, **scores})], {"images": 3}))
    assert dict(left[0].values) == values and left.meta == {"images": 3}


def test_without_its_profile_a_table_says_nothing_of_a_machine() -> None:
    row = StitchRow(0, "0:0-1", {"macs": 1.0, "top1": 2.0, "latency_ms": 3.0, "memory_mb@8": 4.0})
    bare = without_profile(StitchTable([row], {PROFILE: {"engine": "eager"}, "images": 5}))
    assert list(bare.columns) == ["macs", "top1"] and bare.meta == {"images": 5}
