"""Where the measured columns of a table come from, and whether they hold here."""

from collections.abc import Iterable, Mapping
from typing import Any

from snnet.errors import TableError
from snnet.table.columns import column
from snnet.table.facts import PROFILE
from snnet.table.table import StitchTable
from snnet.utils import Machine


def check_profile(
    table: StitchTable, columns: Iterable[str], precision: str | None = None, engine: str | None = None
) -> None:
    """Refuse columns that were measured on another machine or engine, or in another precision than will run.

    Columns that are the same everywhere (MACs, scores) are never refused, and neither is a table that says nothing
    of a machine: such a table was made by hand.

    Args:
        table: Stitches with what was measured of them.
        columns: Those that a choice depends on.
        precision: What the network will run in, such as `bf16`; its own if None.
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
            "`snnet profile`, or take the numbers as they are with any_machine=True (--any-machine)."
        )
    wanted, found = precision or facts.get("network_precision"), facts.get("precision")
    if wanted != found:
        raise TableError(
            f"{listed} was measured in {found}, and the network runs in {wanted}; say that it will run in {found} "
            f"with precision={found!r}, measure anew with `snnet profile`, or take the numbers as they are with "
            "any_machine=True (--any-machine)."
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
