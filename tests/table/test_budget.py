import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnet.errors import BudgetError
from snnet.table import Budget, StitchRow, StitchTable, select
from tests.table.random_tables import scored, tables

TABLE = StitchTable(
    [
        StitchRow(0, "0:0-4", {"macs": 100, "params": 10, "latency_ms": 1.5, "throughput": 900.0, "top1": 70.0}),
        StitchRow(1, "1:0-4", {"macs": 400, "params": 40, "latency_ms": 2.5, "throughput": 300.0, "top1": 80.0}),
        StitchRow(2, "0:0-2,1:2-4", {"macs": 250, "params": 30, "latency_ms": 2.75, "throughput": 500.0, "top1": 80.0}),
        StitchRow(3, "0:0-1,1:1-4", {"macs": 300, "params": 35, "latency_ms": 1.0, "throughput": 400.0}),
    ]
)


def best(table: StitchTable, **options: Any) -> StitchRow:
    return table[select(table, **options)]


@given(table=tables(), macs=st.integers(0, 7), params=st.integers(0, 7))
def test_select_equals_brute_force(table: StitchTable, macs: int, params: int) -> None:
    fitting = [row for row in scored(table) if row.macs <= macs and row.params <= params]
    if not fitting:
        with pytest.raises(BudgetError):
            select(table, macs=macs, params=params)
        return
    highest = max(row.top1 for row in fitting)
    tied = [row for row in fitting if row.top1 == highest]
    cheapest = sorted(tied, key=lambda row: (row.macs, row.params, row.index))[0]
    assert best(table, macs=macs, params=params) is cheapest


def test_ties_go_to_the_cheaper_in_the_limited_column() -> None:
    assert best(TABLE).index == 2
    assert best(TABLE, macs=1000).index == 2
    assert best(TABLE, latency_ms=10).index == 1


def test_limits_combine_and_include_their_own_value() -> None:
    assert best(TABLE, macs=250, params=30).index == 2
    assert best(TABLE, macs=250, params=29).index == 0


def test_what_is_better_when_larger_is_limited_from_below() -> None:
    assert best(TABLE, throughput=500).index == 2
    assert best(TABLE, throughput=501).index == 0
    assert best(TABLE, prefer="latency_ms", top1=75).index == 1


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"macs": 50}, "No stitch keeps macs <= 50. The lowest macs there is: 100 (stitch 0, 0:0-4)."),
        ({"macs": 500, "latency_ms": 0.5}, "The lowest latency_ms there is: 1.5 (stitch 0, 0:0-4)."),
        ({"throughput": 1000}, "The highest throughput there is: 900 (stitch 0, 0:0-4)."),
        ({"macs": 100, "top1": 80}, "Each limit alone can be kept, all of them together cannot."),
        ({"latency_ms": 1.2}, "1 unscored would fit"),
        ({"speed": 5}, "it has macs, params, top1, latency_ms, throughput"),
        ({"loss": 5}, "`snnet evaluate` adds it"),
        ({"macs": math.nan}, "not a number"),
        ({"macs": "3e9"}, "macs='3e9' is not a number"),
    ],
)
def test_what_cannot_be_is_explained(limits: dict[str, float], said: str) -> None:
    with pytest.raises(BudgetError) as caught:
        select(TABLE, **limits)
    assert said in str(caught.value)


def test_every_limit_that_cannot_be_met_is_named() -> None:
    with pytest.raises(BudgetError, match=r"lowest macs there is: 100 .* lowest params there is: 10 "):
        select(TABLE, macs=1, params=1)


def test_unscored_tables_name_the_command() -> None:
    with pytest.raises(BudgetError, match="`snnet evaluate` adds it"):
        select(StitchTable([StitchRow(0, "0:0-4", {"macs": 1})]), macs=5)
    with pytest.raises(BudgetError, match="None of the 1 stitch has a finite 'top1'"):
        select(StitchTable([StitchRow(0, "0:0-4", {"top1": math.nan})]))


def test_scores_that_there_are_not_are_named() -> None:
    table = StitchTable([StitchRow(0, "0:0-4", {"macs": 1, "miou": 20.0})], {"score": "miou"})
    with pytest.raises(BudgetError, match=r"no column 'miuo'; it has macs, miou. Did you mean 'miou'"):
        select(table, prefer="miuo")
    with pytest.raises(BudgetError, match=r"no column 'top1'; it has macs, miou, and is chosen by 'miou': leave it"):
        select(table, prefer="top1")
    with pytest.raises(BudgetError, match=r"no column 'top1'.* is chosen by 'miou'"):
        select(table, top1=80)


def test_columns_of_other_batch_sizes_are_budgets_too() -> None:
    table = TABLE.with_column("latency_ms@8", {"0:0-4": 9.0, "1:0-4": 20.0})
    assert best(table, **{"latency_ms@8": 10}).index == best(table, latency_ms=10, batch=8).index == 0
    assert best(table, latency_ms=10, batch=1).index == best(table, latency_ms=10).index == 1
    assert best(table, prefer="latency_ms", batch=8, top1=75).index == 1
    with pytest.raises(BudgetError, match="no 'latency_ms' at batch 4; it was measured at batch 1, 8"):
        select(table, latency_ms=10, batch=4)


def test_a_budget_prints_itself() -> None:
    assert str(Budget({"macs": 3e9, "top1": 75.5})) == "macs <= 3,000,000,000 and top1 >= 75.5"
    assert str(Budget({})) == "no limit"
