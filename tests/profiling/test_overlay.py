"""New measurements over those that a table has, in `snnet.profiling.profiling`."""

from typing import Any

from snnet.profiling.profiling import lay_over
from snnet.table import StitchRow, StitchTable

FACTS: dict[str, Any] = {"machine": {"cpu": "A"}, "precision": "fp32", "versions": {"snnet": "1", "torch": "2"}}
WHOLE = {"latency_ms": 2.0, "latency_ms_p95": 3.0, "throughput": 500.0}
PREDICTED = {"latency_ms": 2.2, "latency_ms_error": 0.1, "throughput": 450.0, "throughput_error": 20.0}


def table(values: dict[str, float], facts: dict[str, Any] = FACTS) -> StitchTable:
    return StitchTable([StitchRow(0, "0:0-2", {"macs": 5, "top1": 80.0, **values})], {"profile": facts, "images": 7})


def over(old: dict[str, float], new: dict[str, float], facts: dict[str, Any] = FACTS) -> dict[str, float]:
    found = lay_over(table(old), {"0:0-2": new}, facts)
    assert found.meta == {"profile": facts, "images": 7}
    values = dict(found[0].values)
    assert (values.pop("macs"), values.pop("top1")) == (5, 80.0)
    return values


def test_a_measurement_takes_the_place_of_a_prediction() -> None:
    assert over(PREDICTED, WHOLE) == WHOLE


def test_a_prediction_does_not_take_the_place_of_a_measurement() -> None:
    assert over(WHOLE, {**PREDICTED, "memory_mb": 9.0}) == {**WHOLE, "memory_mb": 9.0}
    assert over(PREDICTED, {**PREDICTED, "latency_ms": 2.5}) == {**PREDICTED, "latency_ms": 2.5}


def test_one_measurement_goes_as_a_whole_and_other_batches_stay() -> None:
    old = {**WHOLE, "latency_ms@8": 9.0, "latency_ms@8_error": 1.0, "energy_mj": 4.0}
    assert over(old, {"latency_ms": 1.0, "throughput": 1000.0}) == {
        "latency_ms": 1.0,
        "throughput": 1000.0,
        "latency_ms@8": 9.0,
        "latency_ms@8_error": 1.0,
        "energy_mj": 4.0,
    }


def test_what_was_measured_under_other_conditions_goes_everywhere() -> None:
    other = {**FACTS, "precision": "bf16"}
    assert over({**WHOLE, "latency_ms@8": 9.0}, {"latency_ms": 1.0}, other) == {"latency_ms": 1.0}
    assert over({**WHOLE, "memory_mb": 9.0}, {}, {**FACTS, "versions": {"snnet": "1", "torch": "3"}}) == {}
    # Our own version is no condition.
    assert over(WHOLE, {}, {**FACTS, "versions": {"snnet": "2", "torch": "2"}}) == WHOLE


def test_a_table_without_facts_is_of_unknown_conditions() -> None:
    by_hand = StitchTable(table(WHOLE).rows)
    assert dict(lay_over(by_hand, {}, FACTS)[0].values) == {"macs": 5, "top1": 80.0}
