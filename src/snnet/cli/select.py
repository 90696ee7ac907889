"""`snnet select`: the best stitch under a budget."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from snnet.cli.console import show, show_json
from snnet.cli.sources import read_table
from snnet.cli.tables import cell
from snnet.cli.values import DTYPES, Amount, Dtype, Json
from snnet.errors import TableError
from snnet.table import (
    PROFILE,
    Budget,
    StitchRow,
    at_batch,
    column,
    describe_profile,
    missing_column,
    without_predictions,
)
from snnet.table import select as choose
from snnet.utils import parse_amount

select = App(
    name="select",
    help_epilogue="""Examples:

    snnet select runs/deit --macs 3e9
    snnet select table.jsonl --params 30M --latency-ms 8 --json
    snnet select laptop.jsonl --latency-ms 40 --batch 8 --memory-mb 200
    snnet select table.jsonl --prefer throughput --limit top1=80
""",
)


@select.default
def select_stitch(
    source: str,
    /,
    *,
    macs: Amount = None,
    params: Amount = None,
    latency_ms: Amount = None,
    memory_mb: Amount = None,
    energy_mj: Amount = None,
    limit: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    prefer: str = "top1",
    batch: int | None = None,
    dtype: Dtype = None,
    measured: Annotated[bool, Parameter(negative="")] = False,
    force: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Choose the best stitch within all limits, from measured numbers; no weights are loaded.

    Exits with 3 if nothing fits, and names the cheapest that exists.

    Args:
        source: Directory of a saved network with a table, or a table file: a profile, JSON Lines, or published JSON.
        macs: Most multiply-adds, such as 3e9 or 3G.
        params: Most parameters, such as 30e6 or 30M.
        latency_ms: Largest median latency of a forward pass, in milliseconds.
        memory_mb: Most memory, of weights and features, in megabytes.
        energy_mj: Most energy of a forward pass, in millijoules.
        limit: Any other column as NAME=VALUE, such as latency_ms_p95=20; top-1, top-5 and throughput are lower bounds.
            May be given several times.
        prefer: Column to be best in: highest for top1, top5 and throughput, lowest for all others.
        batch: Images at once, for what was measured on a machine; 1 by default.
        dtype: Type of number that the network will run in; its own by default.
        measured: Pass over what is predicted (`snnet evaluate --predict`, `snnet profile --blocks`).
        force: Take latencies and the like whatever machine and type of number they are of.
    """
    named = {"macs": macs, "params": params, "latency_ms": latency_ms, "memory_mb": memory_mb, "energy_mj": energy_mj}
    given = {name: value for name, value in named.items() if value is not None} | dict(map(_parse_limit, limit))
    limits: dict[str, Any] = {at_batch(name, batch): value for name, value in given.items()}
    columns = (at_batch(prefer, batch), *limits)
    table = read_table(source)
    for name in columns:
        table = without_predictions(table, name) if measured else table
        if message := missing_column(table, name):
            raise TableError(message)
    chosen = choose(table, prefer=columns[0], dtype=DTYPES[dtype] if dtype else None, any_machine=force, **limits)
    row = table[chosen]
    origin = describe_profile(table) if any(column(name).per_batch for name in columns) else None
    if json:
        show_json({**row.to_dict(), **({"profile": table.meta[PROFILE]} if origin else {})})
        return
    show(f"{row.stitch}  (number {row.index} of {len(table)}, best {columns[0]} with {Budget(limits)})")
    show(describe_row(row), *([origin] if origin else []))


def describe_row(row: StitchRow) -> str:
    """Return all values of a stitch in one line."""
    return ", ".join(f"{name} {cell(row, name)}" for name in row.values)


def _parse_limit(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        return (name.strip(), parse_amount(value.strip())) if equals else _refuse(text)
    except ValueError as error:
        raise TableError(f"--limit {text}: {error}") from None


def _refuse(text: str) -> tuple[str, float]:
    raise ValueError(f"{text!r} is not NAME=VALUE, such as top1=80.")
