"""Stitches in several precisions are rows of one table, chosen among like any others."""

import logging
from pathlib import Path

import pytest

from snnet.errors import SpaceError, TableError
from snnet.space import Stitch
from snnet.table import (
    PROFILE,
    StitchRow,
    StitchTable,
    in_precision,
    load_precisions,
    other_table,
    pareto_frontier,
    precisions_of,
    select,
    with_precisions,
)
from snnet.utils import Machine

IDS = ("0:0-12", "1:0-12", "0:0-6,1:6-12")


def table(latencies: list[float], scores: list[float], precision: str = "fp32", network: str = "a") -> StitchTable:
    facts = {"machine": Machine.here().to_dict(), "precision": precision, "network_precision": "fp32"}
    rows = [
        StitchRow(n, name, {"macs": 1e9 * (n + 1), "top1": top1, "latency_ms": ms})
        for n, (name, ms, top1) in enumerate(zip(IDS, latencies, scores, strict=True))
    ]
    return StitchTable(rows, {PROFILE: facts, "evaluation": {"network": network}})


OWN, HALF = table([10, 30, 20], [72, 82, 78]), table([6, 16, 11], [71.9, 81.8, 77.9], "bf16")
BOTH = with_precisions(OWN, {"bf16": HALF})


def test_the_best_may_be_a_stitch_in_another_precision() -> None:
    found = select(BOTH, latency_ms=17)
    assert found == Stitch("1:0-12@bf16") and (found.precision, str(found.plain)) == ("bf16", "1:0-12")
    assert BOTH[found].top1 == 81.8
    assert select(BOTH, latency_ms=40) == Stitch("1:0-12") and select(OWN, latency_ms=17) == Stitch("0:0-12")
    assert [row.stitch for row in pareto_frontier(BOTH, "latency_ms")] == [
        "0:0-12@bf16",
        "0:0-12",
        "0:0-6,1:6-12@bf16",
        "1:0-12@bf16",
        "1:0-12",
    ]


def test_a_number_means_the_networks_own_precision() -> None:
    assert BOTH[1].stitch == "1:0-12" and BOTH["1:0-12@bf16"].index == 1
    assert with_precisions(OWN, {}).rows == OWN.rows


def test_what_was_put_together_comes_apart() -> None:
    assert precisions_of(BOTH) == ("", "bf16")
    for name, one in (("", OWN), ("bf16", HALF)):
        assert in_precision(BOTH, name).rows == one.rows and in_precision(BOTH, name).meta == one.meta


def test_latencies_of_another_machine_are_refused_in_each_precision() -> None:
    elsewhere = StitchTable(HALF, {PROFILE: {**HALF.meta[PROFILE], "machine": {"cpu": "another", "cores": 3}}})
    with pytest.raises(TableError, match="another machine"):
        select(with_precisions(OWN, {"bf16": elsewhere}), latency_ms=17)
    mislabelled = with_precisions(OWN, {"bf16": OWN})
    with pytest.raises(TableError, match="was measured in fp32, and the network runs in bf16"):
        select(mislabelled, latency_ms=17)


def test_tables_of_other_precisions_lie_beside_the_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = OWN.save(tmp_path / "table.jsonl")
    assert load_precisions(path).rows == OWN.rows
    HALF.save(other_table(path, "bf16"))
    OWN.save(tmp_path / "table.backup.jsonl")
    assert load_precisions(path).rows == BOTH.rows
    again = StitchTable.load(load_precisions(path).save(tmp_path / "both.jsonl"))
    assert again.rows == BOTH.rows and again.meta == BOTH.meta
    table([1, 2, 3], [1, 2, 3], "bf16", network="b").save(other_table(path, "bf16"))
    with caplog.at_level(logging.WARNING):
        assert load_precisions(path).rows == OWN.rows
    assert "is of other weights than table.jsonl" in caplog.text


def test_what_does_not_belong_together() -> None:
    with pytest.raises(TableError, match="they belong to different spaces"):
        with_precisions(OWN, {"bf16": StitchTable([StitchRow(7, "1:0-12")])})
    with pytest.raises(TableError, match="has no stitch"):
        with_precisions(OWN, {"bf16": StitchTable([StitchRow(0, "0:0-3")])})
    with pytest.raises(SpaceError, match="ends with 'half', which is no precision"):
        with_precisions(OWN, {"half": HALF})
