"""Where the measured columns of a table come from, and whether they hold here."""

from collections.abc import Iterable, Mapping
from typing import Any

from snnet.errors import TableError
from snnet.table.columns import column
from snnet.table.table import StitchTable
from snnet.utils import Machine

PROFILE = "profile"
"""The fact of a table that says under what its latencies, throughputs, memory and energy were measured."""


def check_profile(
    table: StitchTable, columns: Iterable[str], dtype: str | None = None, engine: str | None = None
) -> None:
    """Refuse columns that were measured on another machine or engine, or in another type of number than will run.

    Columns that are the same everywhere (MACs, scores) are never refused, and neither is a table that says nothing
    of a machine: such a table was made by hand.

    Args:
        table: Stitches with what was measured of them.
        columns: Those that a choice depends on.
        dtype: Type of number that the network will run in, such as `float32`; its own if None.
        engine: What it will run on, such as `onnxruntime`; that of the measurement if None.

    Raises:
        TableError: If they do not hold here; the message names both sides.
    """
    facts: Mapping[str, Any] = table.meta.get(PROFILE) or {}
    used = [name for name in columns if column(name).per_batch]
    if not facts or not used:
        return
    listed = " and ".join(dict.fromkeys(name.partition("@")[0] for name in used))
    there, here = Machine.of(facts.get("machine") or {}), Machine.here()
    if not here.can_stand_for(there):
        raise TableError(
            f"{listed} was measured on another machine ({there}) than this one ({here}); measure here with "
            "`snnet profile`, or take the numbers as they are with any_machine=True (--force)."
        )
    wanted = dtype or facts.get("network_dtype")
    if wanted != facts.get("dtype"):
        raise TableError(
            f"{listed} was measured in {facts.get('dtype')}, and the network runs in {wanted}; say that it will run "
            f"in {facts.get('dtype')} with dtype, measure anew with `snnet profile`, or take the numbers as they are "
            "with any_machine=True (--force)."
        )
    if engine is not None and facts.get("engine") not in (None, engine):
        raise TableError(
            f"{listed} was measured with the engine {facts.get('engine')}, and stitches run on {engine}; measure anew "
            f"with `snnet profile --engine {engine}`, or take the numbers as they are with any_machine=True."
        )


def without_profile(table: StitchTable) -> StitchTable:
    """Return the table without what was measured on a machine, and without what was said of that."""
    bare = table.without(*(name for name in table.columns if column(name).per_batch))
    return StitchTable(bare, {name: fact for name, fact in bare.meta.items() if name != PROFILE})


def describe_profile(table: StitchTable) -> str | None:
    """Return in one line where and how the measured columns came about; None where nothing says so."""
    facts = table.meta.get(PROFILE)
    if not facts:
        return None
    threads = f"{facts.get('threads')} thread{'' if facts.get('threads') == 1 else 's'}"
    how = f"{facts.get('engine')} on {facts.get('device')}, {facts.get('dtype')}, {threads}"
    return f"measured on {Machine.of(facts.get('machine') or {})}: {how}, {str(facts.get('date'))[:10]}"
