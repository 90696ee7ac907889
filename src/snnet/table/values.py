"""Which values a table has, and which of them are predictions."""

import math
from collections.abc import Mapping

from snnet.errors import TableError, did_you_mean
from snnet.table.columns import COLUMNS, ERROR, SCORE, column
from snnet.table.facts import PRECISIONS, PROFILE
from snnet.table.row import StitchRow
from snnet.table.table import StitchTable

PREDICTION = "prediction"
"""The fact of a table that says how the predicted scores in it came about."""


def measured(row: StitchRow, *columns: str) -> bool:
    """Return whether the row has a finite value in each of the columns; a NaN score counts as none."""
    return all((value := row.get(name)) is not None and math.isfinite(value) for name in columns)


def is_predicted(row: StitchRow, name: str = SCORE) -> bool:
    """Return whether the row's value of a column is a prediction: it has an error bar, in `top1_error`."""
    return row.get(name + ERROR) is not None


def without_predictions(table: StitchTable, name: str | None = None) -> StitchTable:
    """Return the table without the predictions of a column, the score if None, and without what was said of them."""
    name = name or table.score

    def known(row: StitchRow) -> Mapping[str, float]:
        gone = (name, name + ERROR) if is_predicted(row, name) else ()
        return {k: v for k, v in row.values.items() if k not in gone}

    left = table.with_values(known)
    return _without_fact(left, PREDICTION) if column(name).role == "score" else left


def without_scores(table: StitchTable) -> StitchTable:
    """Return the table without everything that belongs to the weights: scores, and the error bars of predicted ones."""
    return table.without(*(name for name in table.columns if column(name).role == "score"))


def without_profile(table: StitchTable) -> StitchTable:
    """Return the table without what was measured on a machine, in any precision, and without what was said of that."""
    left = _without_fact(table.without(*(name for name in table.columns if column(name).per_batch)), PROFILE)
    if PRECISIONS not in left.meta:
        return left
    others = {name: {k: v for k, v in facts.items() if k != PROFILE} for name, facts in left.meta[PRECISIONS].items()}
    return StitchTable(left, {**left.meta, PRECISIONS: others})


def measured_batches(table: StitchTable, kind: str) -> list[int]:
    """Return the batch sizes at which a column such as `latency_ms` was measured, in order."""
    parts = (name.partition("@") for name in table.columns)
    return sorted(int(batch or 1) for name, _, batch in parts if name == kind and (batch or "1").isdigit())


def missing_column(table: StitchTable, name: str) -> str | None:
    """Return the message for a column that no row of the table has, or None where there is one."""
    if name in table.columns:
        return None
    kind, _, batch = name.partition("@")
    if column(name).per_batch and (batches := measured_batches(table, kind)):
        listed = ", ".join(map(str, batches))
        return (
            f"The table has no {kind!r} at batch {batch or 1}; it was measured at batch {listed}. `snnet profile "
            f"--batch-sizes {batch or 1}` adds it."
        )
    has = f"it has {', '.join(table.columns)}" if table.columns else "it has no columns at all"
    if (command := column(name).command) is None:
        return f"The table has no column {name!r}; {has}.{did_you_mean(name, {*table.columns, *COLUMNS.names()})}"
    if column(name).role == "score" and "score" in table.meta and table.score in table.columns:
        # Another task's: nothing would add it.
        return f"The table has no column {name!r}; {has}, and is chosen by {table.score!r}: leave it out, or give that."
    return f"The table has no column {name!r}; {has}. `{command}` adds it."


def require_columns(table: StitchTable, *names: str) -> None:
    """Refuse a table that lacks one of the columns.

    Raises:
        TableError: See `missing_column`.
    """
    for name in names:
        if message := missing_column(table, name):
            raise TableError(message)


def _without_fact(table: StitchTable, name: str) -> StitchTable:
    return StitchTable(table, {key: fact for key, fact in table.meta.items() if key != name})
