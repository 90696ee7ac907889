"""What a column of a table means for a choice: which way is better, at which batch, which command measures it."""

import math

from snnet.errors import BudgetError, did_you_mean
from snnet.table.table import StitchRow, StitchTable

ERROR = "_error"
"""Ends the name of the column that holds the standard deviation of a predicted score, in the score's unit."""
PREDICTION = "prediction"
"""The fact of a table that says how the predicted scores in it came about."""

PER_BATCH = ("latency_ms", "throughput", "memory_mb", "energy_mj")
"""Beginnings of the columns that are measured for a number of images at once, on one machine."""

_HIGHER_IS_BETTER = ("top1", "top5", "throughput")
_COMMANDS = {
    "macs": "snnet profile",
    "params": "snnet profile",
    "latency_ms": "snnet profile",
    "throughput": "snnet profile",
    "memory_mb": "snnet profile",
    "energy_mj": "snnet profile",
    "top1": "snnet evaluate",
    "top5": "snnet evaluate",
    "loss": "snnet evaluate",
}


def higher_is_better(column: str) -> bool:
    """Return whether more of `column` is better: true for top-1, top-5 and throughput, at any batch size."""
    return column.startswith(_HIGHER_IS_BETTER) and not column.endswith(ERROR)


def is_per_batch(column: str) -> bool:
    """Return whether a column was measured on a machine, for a number of images at once."""
    return column.startswith(PER_BATCH)


def at_batch(column: str, batch: int | None) -> str:
    """Return the name of a column at a batch size: `latency_ms@8`; at batch 1, and of MACs and scores, as it is.

    Raises:
        BudgetError: If the batch size is none.
    """
    if batch is not None and (isinstance(batch, bool) or not isinstance(batch, int) or batch < 1):
        raise BudgetError(f"batch={batch!r} is not a number of images; write it as in batch=8.")
    plain = batch in (None, 1) or "@" in column or not is_per_batch(column)
    return column if plain else f"{column}@{batch}"


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
    scores = column == "top1"
    return StitchTable(rows, {name: fact for name, fact in table.meta.items() if not (scores and name == PREDICTION)})


def measured_batches(table: StitchTable, kind: str) -> list[int]:
    """Return the batch sizes at which a column such as `latency_ms` was measured, in order."""
    parts = (name.partition("@") for name in table.columns)
    return sorted(int(batch or 1) for name, _, batch in parts if name == kind and (batch or "1").isdigit())


def missing_column(table: StitchTable, column: str) -> str | None:
    """Return the message for a column that no row of the table has, or None where there is one."""
    if column in table.columns:
        return None
    kind, _, batch = column.partition("@")
    if is_per_batch(column) and (batches := measured_batches(table, kind)):
        listed = ", ".join(map(str, batches))
        return (
            f"The table has no {kind!r} at batch {batch or 1}; it was measured at batch {listed}. `snnet profile "
            f"--batch {batch or 1}` adds it."
        )
    has = f"it has {', '.join(table.columns)}" if table.columns else "it has no columns at all"
    command = next((cmd for name, cmd in _COMMANDS.items() if column.startswith(name)), None)
    if command is None:
        return f"The table has no column {column!r}; {has}.{did_you_mean(column, {*table.columns, *_COMMANDS})}"
    return f"The table has no column {column!r}; {has}. `{command}` adds it."
