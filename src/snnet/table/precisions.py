"""Stitches in several precisions, as one table: (stitch, precision) is what is chosen."""

import logging
from collections.abc import Mapping
from pathlib import Path

from snnet.errors import TableError
from snnet.space import Stitch, is_precision
from snnet.table.facts import PRECISIONS
from snnet.table.row import StitchRow
from snnet.table.table import StitchTable

_log = logging.getLogger(__name__)


def with_precisions(table: StitchTable, others: Mapping[str, StitchTable]) -> StitchTable:
    """Return one table of stitches in several precisions, in which a row is a stitch in one of them.

    Everything that chooses among the rows of a table chooses among these: `select`, the frontier, a runtime, a service.

    Args:
        table: What is known of them in the network's own precision.
        others: Precision, such as `bf16` -> what is known of them in it: scores, latencies, memory.

    Returns:
        The rows of `table`, and those of the others with ids such as `0:0-5,1:6-12@bf16`.

    Raises:
        TableError: If another one has a stitch that `table` lacks or numbers otherwise.
        SpaceError: If the name is none of a precision.
    """
    rows = list(table)
    for precision, other in others.items():
        for row in other:
            if table[row.stitch].index != row.index:
                raise TableError(
                    f"Stitch {row.stitch} has number {table[row.stitch].index} in one table and {row.index} in that of "
                    f"{precision}: they belong to different spaces."
                )
            rows.append(StitchRow(row.index, Stitch(row.route.segments, precision).id, row.values))
    meta = {**table.meta, PRECISIONS: {name: other.meta for name, other in others.items()}} if others else table.meta
    return StitchTable(rows, meta, table.hits)


def in_precision(table: StitchTable, precision: str) -> StitchTable:
    """Return what a table of several precisions says of one of them, under the plain ids of the stitches.

    Args:
        table: Rows in several precisions.
        precision: One of them; the network's own if empty.
    """
    meta = {name: fact for name, fact in table.meta.items() if name != PRECISIONS}
    if precision:
        meta = (table.meta.get(PRECISIONS) or {}).get(precision, {})
    rows = (row for row in table if row.precision == precision)
    return StitchTable((StitchRow(row.index, row.route.plain.id, row.values) for row in rows), meta, table.hits)


def precisions_of(table: StitchTable) -> tuple[str, ...]:
    """Return the precisions that a table has rows in, in order; the network's own is the empty name."""
    return tuple(sorted({row.precision for row in table}))


def other_table(path: Path, precision: str) -> Path:
    """Return the file in which a precision's table stands beside that of the network's own.

    Args:
        path: `table.jsonl`.
        precision: Another one, such as `bf16`.
    """
    return path.with_name(f"{path.stem}.{precision}{path.suffix}")


def load_precisions(path: str | Path) -> StitchTable:
    """Read a table and those of other precisions that lie beside it, as `snnet evaluate --precision` writes them.

    What was measured of other weights than the table's is left out, and told.

    Args:
        path: `table.jsonl`; the others are called `table.bf16.jsonl`.

    Raises:
        TableError: If a file is no table, or one of another space.
    """
    source = Path(path)
    own, others = StitchTable.load(source), dict[str, StitchTable]()
    for file in sorted(source.parent.glob(f"{source.stem}.*{source.suffix}")):
        precision = file.name[len(source.stem) + 1 : -len(source.suffix)]
        if not is_precision(precision):
            continue
        other = StitchTable.load(file)
        of, of_own = ((one.meta.get("evaluation") or {}).get("network") for one in (other, own))
        if of and of_own and of != of_own:
            _log.warning("%s is of other weights than %s and is left out; measure it anew.", file, source.name)
        else:
            others[precision] = other
    return with_precisions(own, others)
