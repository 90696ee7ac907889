"""`snnet select`: the best stitch under a budget."""

from typing import Annotated

from cyclopts import App, Parameter

from snnet.amounts import parse_amount
from snnet.cli.console import show, show_json
from snnet.cli.sources import read_table
from snnet.cli.tables import cell
from snnet.cli.values import Amount, Json
from snnet.errors import TableError
from snnet.selection import Budget, missing_column, without_predictions
from snnet.selection import select as choose
from snnet.table import StitchRow

select = App(
    name="select",
    help_epilogue="""Examples:

    snnet select runs/deit --macs 3e9
    snnet select table.jsonl --params 30M --latency-ms 8 --json
    snnet select table.jsonl --by macs --limit top1=80
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
    limit: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    by: str = "top1",
    measured: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Choose the best stitch within all limits, from measured numbers; no weights are loaded.

    Exits with 3 if nothing fits, and names the cheapest that exists.

    Args:
        source: Directory of a saved network with a table, or a table file (JSON Lines, or published JSON).
        macs: Most multiply-adds, such as 3e9 or 3G.
        params: Most parameters, such as 30e6 or 30M.
        latency_ms: Largest median latency at batch 1, in milliseconds.
        limit: Any other column as NAME=VALUE, such as latency_ms@8=20; top-1, top-5 and throughput are lower bounds.
            May be given several times.
        by: Column to be best in: highest for top1, top5 and throughput, lowest for all others.
        measured: Pass over stitches whose top-1 is predicted (`snnet evaluate --predict`).
    """
    named = {"macs": macs, "params": params, "latency_ms": latency_ms}
    limits = {name: value for name, value in named.items() if value is not None} | dict(map(_parse_limit, limit))
    table = without_predictions(read_table(source)) if measured else read_table(source)
    for column in (by, *limits):
        if message := missing_column(table, column):
            raise TableError(message)
    row = choose(table, by=by, **limits)
    if json:
        show_json(row.to_dict())
        return
    show(f"{row.stitch}  (number {row.index} of {len(table)}, best {by} with {Budget(limits)})")
    show(describe_row(row))


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
    raise ValueError(f"{text!r} is not NAME=VALUE, such as latency_ms@8=20.")
