"""Stitch tables on the terminal and as JSON."""

from collections.abc import Iterable
from typing import Any

from snnet.cli.console import show, show_table
from snnet.errors import BudgetError
from snnet.table import StitchRow, StitchTable, select
from snnet.utils import human

_HEADINGS = {
    "macs": "MACs",
    "params": "params",
    "top1": "top-1 %",
    "top5": "top-5 %",
    "top1_error": "± predicted",
    "latency_ms": "ms",
}


def show_rows(table: StitchTable, *, columns: Iterable[str] | None = None) -> None:
    """Print one line per stitch with the columns that there are."""
    names = list(table.columns if columns is None else columns)
    headings = ["#", "stitch", *(_HEADINGS.get(name, name.replace("latency_ms", "ms")) for name in names)]
    show_table(headings, ([str(row.index), row.stitch, *(cell(row, name) for name in names)] for row in table))


def cell(row: StitchRow, column: str) -> str:
    """Return one value as a person reads it."""
    value = row.get(column)
    if value is None:
        return "-"
    if column == "macs" or column.startswith("params"):
        return human(value)
    if column.startswith("top"):
        return f"{value:.2f}"
    return f"{value:,.0f}" if column.startswith("throughput") else f"{value:.3f}"


def show_choices(table: StitchTable, budgets: Iterable[float]) -> None:
    """Print the best stitch by top-1 under each budget of MACs."""
    rows, faults = [], []
    for budget in budgets:
        try:
            row = table[select(table, macs=budget)]
        except BudgetError as error:
            faults.append(str(error))
        else:
            rows.append([human(budget), str(row.index), row.stitch, cell(row, "macs"), cell(row, "top1")])
    if rows:
        show_table(["MACs at most", "#", "stitch", "MACs", "top-1 %"], rows, title="The best stitch under a budget")
    show(*faults)


def table_json(table: StitchTable) -> dict[str, Any]:
    """Return a table as plain data, rows under `stitches`, as `StitchTable.load` reads it."""
    return {**table.meta, "stitches": [row.to_dict() for row in table]}
