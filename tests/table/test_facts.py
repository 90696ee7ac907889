"""Facts are in the words of today, and what was measured elsewhere is not taken for a measurement of here."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from snnet.errors import TableError
from snnet.table import StitchRow, StitchTable, check_profile, describe_profile, select
from snnet.table.facts import read_facts
from snnet.utils import Machine

HERE = Machine("Here 9000", 4, ("GPU A", "GPU B"))


@pytest.fixture(autouse=True)
def fixed_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "here", classmethod(lambda _: HERE))


def profiled(machine: Machine, **facts: Any) -> StitchTable:
    values: Mapping[str, float] = {"macs": 5, "top1": 80.0, "latency_ms": 2.0, "energy_mj@8": 3.0}
    found = {"machine": machine.to_dict(), "precision": "fp32", "network_precision": "fp32", "threads": 1, **facts}
    return StitchTable([StitchRow(0, "0:0-2", values)], {"profile": found})


@pytest.mark.parametrize("machine", [HERE.on(), HERE.on("GPU B")])
def test_a_profile_of_this_machine_is_used(machine: Machine) -> None:
    assert str(select(profiled(machine), latency_ms=5)) == "0:0-2"


@pytest.mark.parametrize("machine", [Machine("There", 4), Machine("Here 9000", 8), HERE.on("GPU C")])
@pytest.mark.parametrize("options", [{"latency_ms": 5}, {"energy_mj": 5, "batch": 8}, {"prefer": "latency_ms"}])
def test_a_profile_of_another_machine_names_both(machine: Machine, options: dict[str, Any]) -> None:
    table = profiled(machine)
    with pytest.raises(TableError, match=re.escape(f"another machine ({machine}) than this one ({HERE})")):
        select(table, **options)
    assert str(select(table, any_machine=True, **options)) == "0:0-2"


def test_what_is_the_same_everywhere_needs_no_machine() -> None:
    assert str(select(profiled(Machine("There", 4)), macs=5)) == "0:0-2"
    by_hand = StitchTable(profiled(HERE).rows)
    assert str(select(by_hand, latency_ms=5)) == "0:0-2"


def test_another_precision_is_refused_until_it_is_asked_for() -> None:
    table = profiled(HERE.on(), precision="bf16")
    with pytest.raises(TableError, match="measured in bf16, and the network runs in fp32"):
        select(table, latency_ms=5)
    assert str(select(table, latency_ms=5, precision="bf16")) == "0:0-2"
    assert str(select(table, latency_ms=5, any_machine=True)) == "0:0-2"
    with pytest.raises(TableError, match="measured in fp32, and the network runs in bf16"):
        select(profiled(HERE.on()), latency_ms=5, precision="bf16")


def test_facts_that_say_no_machine_are_of_another() -> None:
    table = StitchTable(profiled(HERE).rows, {"profile": {"precision": "fp32"}})
    with pytest.raises(TableError, match=r"another machine \(unknown processor, 0 cores\)"):
        select(table, latency_ms=5)


def test_numbers_of_another_engine_are_refused_where_the_engine_is_known() -> None:
    table = profiled(HERE.on(), engine="eager")
    check_profile(table.meta, ["latency_ms"])
    check_profile(table.meta, ["latency_ms"], engine="eager")
    check_profile(table.meta, ["macs"], engine="openvino")
    with pytest.raises(TableError, match=r"measured with the engine eager, and stitches run on openvino"):
        check_profile(table.meta, ["latency_ms"], engine="openvino")


def test_types_of_torch_become_precisions() -> None:
    before = {
        "profile": {"dtype": "bfloat16", "network_dtype": "float32", "engine": "eager", "threads": 2},
        "evaluation": {"precision": "float32 with bf16", "network": "float32", "data": {"images": 3}},
        "anchors": ["a", "b"],
    }
    assert read_facts("t.jsonl", before) == {
        "profile": {"precision": "bf16", "network_precision": "fp32", "engine": "eager", "threads": 2},
        "evaluation": {"precision": "fp32 with bf16", "network": "float32", "data": {"images": 3}},
        "anchors": ["a", "b"],
    }
    assert before["profile"]["dtype"] == "bfloat16"


def test_what_is_of_today_stays() -> None:
    facts = {"profile": {"precision": "fp16", "network_precision": "float64x"}, "evaluation": None, "date": "today"}
    assert read_facts("t.jsonl", facts) == facts
    assert read_facts("t.jsonl", {}) == {}


def test_the_origin_is_said_in_one_line() -> None:
    machine = {"cpu": "Here 9000", "cores": 4}
    facts = {"machine": machine, "engine": "eager", "device": "cpu", "precision": "fp32", "threads": 1}
    said = describe_profile({"profile": {**facts, "date": "2026-11-21T10:00:00"}})
    assert said == "measured on Here 9000, 4 cores: eager on cpu, fp32, 1 thread, 2026-11-21"
    assert describe_profile({}) is None
