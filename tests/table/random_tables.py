"""Random stitch tables for property tests."""

import math

from hypothesis import strategies as st

from snnet.table import StitchRow, StitchTable

# Few distinct values, so that ties are common; NaN and missing scores too.
_costs = st.integers(1, 6)
_scores = st.one_of(st.none(), st.just(math.nan), st.integers(0, 5).map(float))


def _row(index: int, values: tuple[int, int, float | None]) -> StitchRow:
    macs, params, top1 = values
    columns: dict[str, float] = {"macs": macs, "params": params}
    if top1 is not None:
        columns["top1"] = top1
    return StitchRow(index, f"0:0-{index + 1},1:{index}-99", columns)


def tables(min_size: int = 1) -> st.SearchStrategy[StitchTable]:
    """Tables in which at least one row has a finite top-1."""
    rows = st.lists(st.tuples(_costs, _costs, _scores), min_size=min_size, max_size=12)
    return rows.map(lambda values: StitchTable([_row(0, (3, 3, 2.0)), *(_row(n, v) for n, v in enumerate(values, 1))]))


def scored(table: StitchTable) -> list[StitchRow]:
    return [row for row in table if math.isfinite(row.get("top1") or math.nan) or row.get("top1") == 0]
