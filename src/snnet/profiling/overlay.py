"""New measurements over those that a table has, so that one column compares throughout."""

from collections.abc import Mapping
from typing import Any

from snnet.table import ERROR, LATENCY, PROFILE, THROUGHPUT, StitchRow, StitchTable, column

_MUST_AGREE = ("machine", "engine", "device", "precision", "threads", "versions")
_TIMED = (LATENCY, THROUGHPUT)


def lay_over(table: StitchTable, columns: Mapping[str, Mapping[str, float]], facts: Mapping[str, Any]) -> StitchTable:
    """Return `table` with measured columns, and with the facts on them.

    What the table has of other conditions goes, for every stitch. Of the same conditions it stays, but where the same
    stitch was measured anew at the same batch size; a prediction never takes the place of a measurement.
    """
    earlier = table.meta.get(PROFILE) or {}
    keep = all(_without_own(earlier.get(name)) == _without_own(facts.get(name)) for name in _MUST_AGREE)
    rows = (
        StitchRow(row.index, row.stitch, _values(row.values, columns.get(row.stitch, {}), keep=keep)) for row in table
    )
    return StitchTable(rows, {**table.meta, PROFILE: dict(facts)})


def _without_own(fact: Any) -> Any:
    """Return versions without our own: what we time with changes what is found less often than torch and timm do."""
    return {k: v for k, v in fact.items() if k != "snnet"} if isinstance(fact, dict) else fact


def _values(old: Mapping[str, float], new: Mapping[str, float], *, keep: bool) -> dict[str, float]:
    """Return one row's values."""
    left = {name: value for name, value in old.items() if keep or not column(name).per_batch}
    coming = dict(new)
    for batch in {_batch(name) for name in new}:
        was, comes = (_times(part, batch) for part in (left, new))
        gone = coming if was and not _is_predicted(was) and _is_predicted(comes) else left
        for name in comes if gone is coming else was:
            del gone[name]
    return {**left, **coming}


def _times(values: Mapping[str, float], batch: str) -> dict[str, float]:
    """Return what was timed at a batch size: one measurement, which stays or goes as a whole."""
    return {k: v for k, v in values.items() if k.startswith(_TIMED) and _batch(k) == batch}


def _is_predicted(values: Mapping[str, float]) -> bool:
    return any(name.endswith(ERROR) for name in values)


def _batch(name: str) -> str:
    return name.removesuffix(ERROR).partition("@")[2]
