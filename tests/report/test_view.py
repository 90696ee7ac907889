import math
from pathlib import Path

import pytest

from snnet.errors import TableError
from snnet.report.view import (
    anchor_depths,
    anchor_names,
    axis_of,
    cost_columns,
    score_range,
    series_of,
    short_names,
    staircase,
)
from snnet.table import StitchRow, StitchTable


def one(**values: float) -> StitchTable:
    return StitchTable([StitchRow(0, "0:0-4", values)])


@pytest.mark.parametrize(
    ("column", "value", "title", "scale", "unit"),
    [
        ("macs", 4608338304, "MACs (G)", 1e9, "G"),
        ("macs", 12345678, "MACs (M)", 1e6, "M"),
        ("params", 22050664, "Parameters (M)", 1e6, "M"),
        ("params", 950, "Parameters", 1.0, ""),
        ("latency_ms", 0.1234, "Latency (ms)", 1.0, "ms"),
        ("latency_ms@8", 123.4, "Latency, batch 8 (ms)", 1.0, "ms"),
        ("latency_ms_p95", 2.0, "Latency p95 (ms)", 1.0, "ms"),
        ("throughput", 1234.5, "Throughput (images/s)", 1.0, "images/s"),
        ("memory_mb@8", 23.456, "Memory, batch 8 (MB)", 1.0, "MB"),
        ("energy_mj", 8.0, "Energy (mJ)", 1.0, "mJ"),
        ("top1", 76.48, "Top-1 (%)", 1.0, "%"),
        ("loss", 0.0, "Loss", 1.0, ""),
        ("energy", 3.0, "energy", 1.0, ""),
    ],
)
def test_columns_are_written_with_their_units(column: str, value: float, title: str, scale: float, unit: str) -> None:
    axis = axis_of(one(**{column: value}), column)
    assert (axis.title, axis.scale, axis.unit) == (title, scale, unit)


def test_budgets_are_offered_for_costs() -> None:
    table = one(top1=1, latency_ms_p95=1, **{"latency_ms@8": 1}, macs=1, throughput=1, params=1)
    assert cost_columns(table) == ["macs", "params", "latency_ms@8"]
    table = one(macs=1, memory_mb=1, latency_ms=1, latency_ms_error=1, **{"latency_ms@8": 1, "latency_ms@8_error": 1})
    assert cost_columns(table) == ["macs", "latency_ms", "latency_ms@8", "memory_mb"]


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["deit_tiny_patch16_224", "deit_base_patch16_224"], ["tiny", "base"]),
        (["vit_fm_tiny", "vit_fm_base"], ["tiny", "base"]),
        (["resnet18", "resnet50"], ["resnet18", "resnet50"]),
        (["same", "same"], ["same", "same"]),
        (["a", "a_b"], ["a", "a_b"]),
    ],
)
def test_short_names_leave_out_what_is_common(names: list[str], short: list[str]) -> None:
    assert short_names(StitchTable([], {"anchors": names, "depths": [[4], [4]]})) == short


def test_a_table_without_facts_is_read_from_its_routes() -> None:
    table = StitchTable([StitchRow(0, "0:0-4", {}), StitchRow(1, "1:0-6", {}), StitchRow(2, "0:0-2,1:3-6", {})])
    assert anchor_depths(table) == [[4], [6]]
    assert anchor_names(table) == short_names(table) == ["anchor 0", "anchor 1"]


def test_series_gather_the_routes_through_the_same_anchors(reference_dir: Path) -> None:
    series = series_of(StitchTable.load(reference_dir / "deit_ti_s_b.json"))
    assert [(one.label, len(one.rows)) for one in series] == [("tiny → small", 34), ("small → base", 34)]
    assert len({one.color for one in series}) == 2


def test_a_skip_makes_no_series_of_its_own_and_directions_do() -> None:
    def labels(*routes: str) -> list[tuple[str, int]]:
        rows = [StitchRow(n, route, {}) for n, route in enumerate(["0:0-9", "1:0-9", "2:0-9", *routes])]
        series = series_of(StitchTable(rows, {"anchors": ["deit_tiny", "deit_small", "deit_base"]}))
        assert len({one.color for one in series}) == len(series)
        return [(one.label, len(one.rows)) for one in series]

    skips = ["0:0-2,0:4-9", "0:0-2,0:3-5,0:7-9", "0:0-1,1:3-5,1:7-9", "0:0-1,1:3-9", "1:0-2,0:4-9", "1:0-2,0:4-6,1:2-9"]
    assert labels(*skips) == [
        ("tiny with skips", 2),
        ("tiny → small", 2),
        ("small → tiny", 1),
        ("small → tiny → small", 1),
    ]
    # Beyond the colors, the ends of a route tell.
    more = [f"{a}:0-2,{b}:1-3,{c}:4-9" for a in range(3) for b in range(3) for c in range(2) if a != b and b != c]
    found = labels(*skips, *more)
    assert found[:2] == [("tiny … tiny", 4), ("tiny … small", 3)] and ("small … small", 3) in found
    assert sum(count for _, count in found) == len(skips) + len(more)


def test_one_anchor_alone_keeps_its_name() -> None:
    table = StitchTable([StitchRow(0, "0:0-4", {}), StitchRow(1, "0:0-1,0:2-4", {})], {"anchors": ["vit_small"]})
    assert [one.label for one in series_of(table)] == ["vit_small with skips"]


def test_a_bad_start_does_not_squeeze_the_curve() -> None:
    table = StitchTable([StitchRow(n, f"{n}:0-4", {"macs": 1, "top1": 70.0 + 10 * n}) for n in (0, 1)])
    low, high = score_range(table, table.with_column("top1", {"0:0-4": 1.0}), "macs", "top1")
    assert 50 < low < 60
    assert high > 80


def test_a_table_without_scores_is_refused() -> None:
    with pytest.raises(TableError, match="`snnet evaluate` adds it"):
        score_range(one(macs=1), None, "macs", "top1")
    with pytest.raises(TableError, match="`snnet evaluate` measures scores"):
        score_range(one(macs=1, top1=math.nan), None, "macs", "top1")


def test_the_staircase_is_of_the_anchors_as_they_came_or_are() -> None:
    def table(*scores: float, loss: float = 1.0) -> StitchTable:
        ids = ["0:0-4", "1:0-4", "2:0-4", "0:0-2,1:3-4"]
        rows = [StitchRow(n, ids[n], {"macs": n + 1.0, "top1": top1, "loss": loss}) for n, top1 in enumerate(scores)]
        return StitchTable(rows)

    now, before = table(80, 79, 90, 95), table(81, 85, 88)
    assert staircase(now, None, "macs", "top1") == [(1.0, 80), (3.0, 90)]
    assert staircase(now, before, "macs", "top1") == [(1.0, 81), (2.0, 85), (3.0, 90)]
    assert staircase(now, table(81, 85, 88, loss=2.0), "macs", "loss") == [(1.0, 1.0)], "where less is better"
    assert staircase(table(80), before, "macs", "top1") == [], "one anchor is no staircase"
