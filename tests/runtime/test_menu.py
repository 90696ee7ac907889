"""The choice that was worked out beforehand is the one that `select` makes."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnet.errors import BudgetError, MeasurementWarning, TableError
from snnet.network import SNNet
from snnet.runtime.menu import Menu, spread
from snnet.space import Stitch
from snnet.space.stitch import Segment
from snnet.table import StitchRow, StitchTable, select
from snnet.utils import Machine

VALUES = st.integers(0, 6).map(float)
ROWS = st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=12)


def table_of(rows: list[tuple[float, ...]], names: tuple[str, ...] = ("macs", "latency_ms", "top1")) -> StitchTable:
    return StitchTable(
        StitchRow(n, f"0:0-{n + 1}", dict(zip(names, values, strict=True))) for n, values in enumerate(rows)
    )


@given(ROWS, st.dictionaries(st.sampled_from(["macs", "latency_ms", "top1"]), VALUES))
def test_equals_select(rows: list[tuple[float, ...]], limits: dict[str, float]) -> None:
    table = table_of(rows)
    menu = Menu(table)
    try:
        expected = select(table, **limits)
    except BudgetError:
        with pytest.raises(BudgetError, match="No stitch keeps"):
            menu.best(limits)
    else:
        assert menu.best(limits) == expected


@given(ROWS, VALUES, st.sets(st.integers(0, 11)))
def test_among_some(rows: list[tuple[float, ...]], limit: float, some: set[int]) -> None:
    table = table_of(rows)
    ready = {row.stitch for row in table if row.index in some}
    try:
        expected = select(table.where(lambda row: row.stitch in ready), latency_ms=limit)
    except BudgetError:
        with pytest.raises(BudgetError):
            Menu(table).best({"latency_ms": limit}, among=lambda stitch: stitch.id in ready)
    else:
        assert Menu(table).best({"latency_ms": limit}, among=lambda stitch: stitch.id in ready) == expected


def test_other_preferences_and_batches() -> None:
    table = table_of([(1, 8, 5), (2, 4, 9)], ("latency_ms", "latency_ms@8", "throughput"))
    menu = Menu(table, prefer="throughput")
    assert menu.best({}).id == "0:0-2"
    assert menu.best({"latency_ms": 1}).id == "0:0-1"
    assert menu.best({"latency_ms": 4}, batch=8).id == "0:0-2"
    assert menu.value(Stitch((Segment(0, 0, 1),)), "latency_ms", 8) == 8
    assert menu.cheapest("latency_ms", 8).id == "0:0-2"
    with pytest.raises(BudgetError, match=r"at batch 3; it was measured at batch 1, 8"):
        menu.best({"latency_ms": 4}, batch=3)


@pytest.mark.parametrize("limit", [float("nan"), "8", True, None])
def test_what_is_no_limit(limit: float) -> None:
    with pytest.raises(BudgetError, match="is not a number"):
        Menu(table_of([(1, 1, 1)])).best({"latency_ms": limit})


def test_missing_columns() -> None:
    menu = Menu(table_of([(1, 1, 1)]))
    with pytest.raises(BudgetError, match="no column 'energy_mj'"):
        menu.best({"energy_mj": 3})
    with pytest.raises(BudgetError, match="no column 'top5'"):
        Menu(table_of([(1, 1, 1)]), prefer="top5")
    with pytest.raises(BudgetError, match=r"The lowest latency_ms there is: 1 \(stitch 0, 0:0-1\)"):
        menu.best({"latency_ms": 0.5})


def test_spread_covers_evenly() -> None:
    stitches = [Stitch((Segment(0, 0, n + 1),)) for n in range(9)]
    order = [stitch.segments[0].stop - 1 for stitch in spread(stitches)]
    assert order == [0, 8, 4, 2, 6, 1, 3, 5, 7]
    assert spread([]) == [] and spread(stitches[:1]) == stitches[:1]
    assert set(spread(stitches[:4])) == set(stitches[:4])


def test_what_another_machine_measured_is_refused_unless_it_is_meant() -> None:
    facts = {"machine": {"cpu": "another", "cores": 3}, "precision": "fp32", "network_precision": "fp32"}
    table = StitchTable(table_of([(1, 1, 1)]), {"profile": facts})
    with pytest.raises(TableError, match="another machine"):
        Menu(table).best({"latency_ms": 2})
    assert Menu(table, any_machine=True).best({"latency_ms": 2}).id == "0:0-1"
    here = StitchTable(table, {"profile": {**facts, "machine": Machine.here().on().to_dict()}})
    assert Menu(here, precision="fp32").best({"latency_ms": 2}).id == "0:0-1"
    with pytest.raises(TableError, match="in fp32, and the network runs in bf16"):
        Menu(here, precision="bf16").best({"latency_ms": 2})


def test_what_another_machine_measured_is_not_preferred_either() -> None:
    facts = {"machine": {"cpu": "another", "cores": 3}, "precision": "fp32", "network_precision": "fp32"}
    table = StitchTable(table_of([(1, 1, 1), (2, 2, 2)]), {"profile": facts})
    with pytest.raises(TableError, match="another machine"):
        Menu(table, "latency_ms")
    assert Menu(table, "latency_ms", any_machine=True).best({"macs": 5}).id == "0:0-1"


def test_columns_that_no_stitch_has_together() -> None:
    table = StitchTable(
        [StitchRow(0, "0:0-1", {"top1": 1.0, "macs": 1.0}), StitchRow(1, "0:0-2", {"top1": 2.0, "params": 1.0})]
    )
    with pytest.raises(BudgetError, match="No stitch keeps macs <= 5 and params <= 5"):
        Menu(table).best({"macs": 5, "params": 5})


def test_unreliable_latencies_are_warned_of_once(net: SNNet) -> None:
    assert net.table is not None
    low = {row.stitch: row.latency_ms * 0.1 for row in net.table}
    high = {row.stitch: row.latency_ms * 9.0 for row in net.table}
    menu = Menu(net.table.with_column("latency_ms_low", low).with_column("latency_ms_high", high))
    with pytest.warns(MeasurementWarning, match=r"latency_ms, which is unreliable for 23 of 23 stitches"):
        menu.best({"latency_ms": 5.0})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        menu.best({"latency_ms": 7.0})
        menu.best({"macs": 300.0})
