"""What was measured elsewhere is not taken for a measurement of here."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from snnet.errors import TableError
from snnet.table import PROFILE, StitchRow, StitchTable, check_profile, select, without_profile
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


def test_without_its_profile_a_table_says_nothing_of_a_machine() -> None:
    row = StitchRow(0, "0:0-1", {"macs": 1.0, "top1": 2.0, "latency_ms": 3.0, "memory_mb@8": 4.0})
    bare = without_profile(StitchTable([row], {PROFILE: {"engine": "eager"}, "images": 5}))
    assert list(bare.columns) == ["macs", "top1"] and bare.meta == {"images": 5}


def test_numbers_of_another_engine_are_refused_where_the_engine_is_known() -> None:
    table = profiled(HERE.on(), engine="eager")
    check_profile(table, ["latency_ms"])
    check_profile(table, ["latency_ms"], engine="eager")
    check_profile(table, ["macs"], engine="openvino")
    with pytest.raises(TableError, match=r"measured with the engine eager, and stitches run on openvino"):
        check_profile(table, ["latency_ms"], engine="openvino")
