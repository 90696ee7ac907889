"""What a column of a table means for a choice: which way is better, and which command measures it."""

import math

from snnet.errors import did_you_mean
from snnet.table import StitchRow, StitchTable

ERROR = "_error"
"""Ends the name of the column that holds the standard deviation of a predicted score, in the score's unit."""
PREDICTION = "prediction"
"""The fact of a table that says how the predicted scores in it came about."""

_HIGHER_IS_BETTER = ("top1", "top5", "throughput")
_COMMANDS = {
    "macs": "snnet profile",
    "params": "snnet profile",
    "latency_ms": "snnet profile",
    "throughput": "snnet profile",
    "top1": "snnet evaluate",
    "top5": "snnet evaluate",
    "loss": "snnet evaluate",
}


def higher_is_better(column: str) -> bool:
    """Return whether more of `column` is better: true for top-1, top-5 and throughput, at any batch size."""
    return column.startswith(_HIGHER_IS_BETTER) and not column.endswith(ERROR)


def badness(column: str, value: float) -> float:
    """Return a number that is smaller the better `value` of `column` is."""
    return -value if higher_is_better(column) else value


def measured(row: StitchRow, *columns: str) -> bool:
    """Return whether the row has a finite value in each of the columns; a NaN score counts as none."""
    return all((value := row.get(column)) is not None and math.isfinite(value) for column in columns)


def is_predicted(row: StitchRow, column: str = "top1") -> bool:
    """Return whether the row's value of a column is a prediction: it has an error bar, in `top1_error`."""
    return row.get(column + ERROR) is not None


def without_predictions(table: StitchTable, column: str = "top1") -> StitchTable:
    """Return the table without the values of a column that are predictions, and without what was said of them."""
    gone = (column, column + ERROR)
    rows = (
        StitchRow(row.index, row.stitch, {k: v for k, v in row.values.items() if k not in gone})
        if is_predicted(row, column)
        else row
        for row in table
    )
    return StitchTable(rows, {name: fact for name, fact in table.meta.items() if name != PREDICTION})


def missing_column(table: StitchTable, column: str) -> str | None:
    """Return the message for a column that no row of the table has, or None where there is one."""
    if column in table.columns:
        return None
    has = f"it has {', '.join(table.columns)}" if table.columns else "it has no columns at all"
    command = next((cmd for name, cmd in _COMMANDS.items() if column.startswith(name)), None)
    if command is None:
        return f"The table has no column {column!r}; {has}.{did_you_mean(column, {*table.columns, *_COMMANDS})}"
    return f"The table has no column {column!r}; {has}. `{command}` adds it."
