# Tested in tests/cli/test_cost.py.
"""Stitch tables on the terminal and as JSON."""

from collections.abc import Iterable
from typing import Any

from snnet.cli.console import show, show_table
from snnet.errors import BudgetError
from snnet.table import COST, SCORE, StitchRow, StitchTable, column, select
from snnet.utils import human


def show_rows(table: StitchTable, *, names: Iterable[str] | None = None) -> None:
    """Print one line per stitch with the columns that there are, or those that are named."""
    columns = [column(name) for name in (table.columns if names is None else names)]
    headings = ["#", "stitch", *(one.heading for one in columns)]
    rows = ([str(row.index), row.stitch, *(cell(row, one.name) for one in columns)] for row in table)
    # Parts of another column say least, then what stands last; the usual cost and score say most.
    by_worth = sorted(columns, key=lambda one: (one.name in (COST, SCORE), not one.part, -columns.index(one)))
    show_table(headings, rows, spare=[one.heading for one in by_worth])


def cell(row: StitchRow, name: str) -> str:
    """Return one value as a person reads it."""
    return column(name).text(row.get(name))


def show_choices(table: StitchTable, budgets: Iterable[float]) -> None:
    """Print the best stitch under each budget of MACs."""
    rows, faults = [], []
    for budget in budgets:
        try:
            row = table[select(table, macs=budget)]
        except BudgetError as error:
            faults.append(str(error))
        else:
            rows.append([human(budget), str(row.index), row.stitch, cell(row, COST), cell(row, SCORE)])
    if rows:
        cost, score = column(COST).heading, column(SCORE).heading
        headings = [f"{cost} at most", "#", "stitch", cost, score]
        show_table(headings, rows, title="The best stitch under a budget")
    show(*faults)


def table_json(table: StitchTable) -> dict[str, Any]:
    """Return a table as plain data, rows under `stitches`, as `StitchTable.load` reads it."""
    return {**table.meta, "stitches": [row.to_dict() for row in table]}
