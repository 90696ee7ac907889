import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnet.errors import TableError
from snnet.table import (
    StitchRow,
    StitchTable,
    anchor_regression,
    gap_to_lines,
    hypervolume,
    line_between_anchors,
    pareto_frontier,
    select,
)
from tests.table.random_tables import scored, tables

ANCHORS = StitchTable(
    [
        StitchRow(0, "0:0-4", {"macs": 100, "top1": 70.0, "loss": 2.0}),
        StitchRow(1, "1:0-4", {"macs": 200, "top1": 80.0, "loss": 1.0}),
        StitchRow(2, "2:0-4", {"macs": 600, "top1": 84.0, "loss": 0.5}),
    ]
)


def with_stitch(stitch: str, **values: float) -> StitchTable:
    return StitchTable([*ANCHORS, StitchRow(3, stitch, values)])


@given(table=tables())
def test_the_frontier_is_what_nothing_dominates(table: StitchTable) -> None:
    points = scored(table)

    def dominated(row: StitchRow) -> bool:
        return any(
            other.macs <= row.macs and other.top1 >= row.top1 and (other.macs, other.top1) != (row.macs, row.top1)
            for other in points
        )

    frontier = list(pareto_frontier(table))
    assert {row.stitch for row in frontier} == {row.stitch for row in points if not dominated(row)}
    assert [row.macs for row in frontier] == sorted(row.macs for row in frontier)


@given(table=tables(), macs=st.integers(3, 8))
def test_what_a_budget_chooses_lies_on_the_frontier(table: StitchTable, macs: int) -> None:
    assert select(table, macs=macs) in pareto_frontier(table)


@given(table=tables())
def test_hypervolume_equals_counting_unit_cells(table: StitchTable) -> None:
    points = scored(table)
    cells = [(x, y) for x in range(8) for y in range(-2, 7)]
    covered = sum(any(row.macs <= x and row.top1 >= y + 1 for row in points) for x, y in cells)
    assert hypervolume(table, reference=(8, -2)) == covered


@given(table=tables())
def test_hypervolume_without_a_reference_uses_the_worst_values(table: StitchTable) -> None:
    points = scored(table)
    reference = (max(row.macs for row in points), min(row.top1 for row in points))
    assert hypervolume(table) == hypervolume(table, reference=reference)


def test_points_beyond_the_reference_add_nothing() -> None:
    assert hypervolume(ANCHORS, reference=(150, 60)) == 50 * 10
    assert hypervolume(ANCHORS, reference=(50, 60)) == 0


def test_a_loss_is_better_when_lower() -> None:
    assert len(pareto_frontier(ANCHORS, score="loss")) == 3
    assert hypervolume(ANCHORS, score="loss", reference=(600, 3.0)) == 100 * 1 + 400 * 2


def test_an_unscored_table_has_an_empty_frontier() -> None:
    table = StitchTable([StitchRow(0, "0:0-4", {"macs": 1, "top1": math.nan})])
    assert len(pareto_frontier(table)) == 0
    assert hypervolume(table) == 0


def test_the_published_table_has_its_known_ends(reference_dir: Path) -> None:
    table = StitchTable.load(reference_dir / "deit_ti_s_b.json")
    frontier = pareto_frontier(table)
    assert (len(table), len(frontier)) == (71, 39)
    assert frontier.rows[0].stitch == "0:0-12"
    assert frontier.rows[-1].top1 == max(row.top1 for row in table)


def test_the_line_joins_the_anchors() -> None:
    assert line_between_anchors(ANCHORS, 150) == 75
    assert line_between_anchors(ANCHORS, 400) == 82
    assert line_between_anchors(ANCHORS, 200) == 80
    assert line_between_anchors(ANCHORS, 50) == 65
    assert line_between_anchors(ANCHORS, 700) == 85


def test_a_stitch_is_held_against_its_own_anchors() -> None:
    table = with_stitch("0:0-1,1:1-4", macs=210, top1=80.0)
    assert line_between_anchors(ANCHORS, table[3]) == 81
    assert gap_to_lines(table, ANCHORS) == {"0:0-1,1:1-4": -1.0}
    far = with_stitch("0:0-1,2:1-4", macs=350, top1=78.0)
    assert gap_to_lines(far, ANCHORS) == {"0:0-1,2:1-4": 1.0}


def test_a_gap_in_loss_is_positive_when_better() -> None:
    assert gap_to_lines(with_stitch("0:0-1,1:1-4", macs=150, loss=1.25), ANCHORS, score="loss") == {"0:0-1,1:1-4": 0.25}


def test_of_equally_dear_anchors_the_better_counts() -> None:
    table = StitchTable([*ANCHORS.rows[:2], StitchRow(2, "2:0-4", {"macs": 200, "top1": 78.0})])
    assert line_between_anchors(table, 150) == 75
    assert line_between_anchors(StitchTable(ANCHORS.rows[:1]), 500) == 70


def test_unscored_stitches_have_no_gap_and_unscored_anchors_are_named() -> None:
    assert gap_to_lines(with_stitch("0:0-1,1:1-4", macs=150, top1=math.nan), ANCHORS) == {}
    with pytest.raises(TableError, match="for anchor 1"):
        gap_to_lines(with_stitch("0:0-1,1:1-4", macs=150, top1=70.0), StitchTable(ANCHORS.rows[:1]))
    with pytest.raises(TableError, match="for anchor 0"):
        line_between_anchors(StitchTable([StitchRow(0, "0:0-4", {"macs": 1, "top1": math.nan})]), 5)


def test_anchor_regression_is_what_was_lost() -> None:
    after = ANCHORS.with_column("top1", {"0:0-4": 69.5, "1:0-4": 81.0})
    assert anchor_regression(ANCHORS, after) == {"0:0-4": 0.5, "1:0-4": -1.0, "2:0-4": 0.0}
    assert anchor_regression(ANCHORS, ANCHORS, score="loss") == {"0:0-4": 0, "1:0-4": 0, "2:0-4": 0}
    with pytest.raises(TableError, match=r"Anchor 2:0-4 has no finite 'top1' in both"):
        anchor_regression(ANCHORS, StitchTable(ANCHORS.rows[:2]))


def test_a_missing_column_names_the_command() -> None:
    with pytest.raises(TableError, match="`snnet profile` adds it"):
        pareto_frontier(ANCHORS, cost="latency_ms")


def test_one_anchor_alone_has_a_level_line_and_a_frontier() -> None:
    values = {"0:0-4": (40, 80.0), "0:0-2,0:3-4": (30, 70.0), "0:0-1,0:3-4": (20, 72.0), "0:0-1,0:2-4": (31, 81.0)}
    table = StitchTable([StitchRow(n, s, {"macs": at, "top1": y}) for n, (s, (at, y)) in enumerate(values.items())])
    assert gap_to_lines(table, table) == {"0:0-2,0:3-4": -10.0, "0:0-1,0:3-4": -8.0, "0:0-1,0:2-4": 1.0}
    assert line_between_anchors(table, 25.0) == line_between_anchors(table, 99.0) == 80.0
    assert [row.stitch for row in pareto_frontier(table)] == ["0:0-1,0:3-4", "0:0-1,0:2-4"]
    assert hypervolume(table) == (31 - 20) * 2 + (40 - 31) * 11
    assert anchor_regression(table, table) == {"0:0-4": 0.0}


def test_a_route_that_comes_back_is_held_against_the_anchors_that_it_passes() -> None:
    rows = {"1:0-1,0:1-2,1:0-1,0:1-4": (15, 50.0), "1:0-2,1:3-4": (15, 60.0), "0:0-4": (10, 60.0), "1:0-4": (20, 80.0)}
    table = StitchTable([StitchRow(n, s, {"macs": at, "top1": y}) for n, (s, (at, y)) in enumerate(rows.items())])
    assert gap_to_lines(table, table) == {"1:0-1,0:1-2,1:0-1,0:1-4": -20.0, "1:0-2,1:3-4": -20.0}
