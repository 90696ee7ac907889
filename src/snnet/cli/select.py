"""`snnet select`: the best stitch under a budget."""

from typing import Annotated, Literal

from cyclopts import Parameter

from snnet.cli.console import show, show_json
from snnet.cli.options import NO_BUDGET, BudgetOptions, Json
from snnet.cli.sources import read_table
from snnet.errors import TableError
from snnet.table import (
    PROFILE,
    Budget,
    at_batch,
    column,
    describe_profile,
    missing_column,
    without_predictions,
)
from snnet.table import select as choose
from snnet.utils import Precision


def select(
    source: str,
    /,
    *,
    budget: BudgetOptions = NO_BUDGET,
    precision: Precision | Literal["int8", "any"] | None = None,
    measured: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Choose the best stitch within all limits, from measured numbers; no weights are loaded.

    Exits with 3 if nothing fits, and names the cheapest that exists.

    Args:
        source: Directory of a saved network with a table, or a table file: a profile, JSON Lines, or published JSON.
        precision: What the network will run in; its own by default. With any, a stitch in a precision is chosen, such
            as 0:0-5,1:6-12@bf16.
        measured: Pass over what is predicted (`snnet evaluate --predict`, `snnet profile --blocks`).

    Examples:
        snnet select runs/deit --macs 3e9
        snnet select table.jsonl --params 30M --latency-ms 8 --json
        snnet select runs/mine --latency-ms 8 --precision any
        snnet select laptop.jsonl --latency-ms 40 --batch 8 --memory-mb 200
        snnet select table.jsonl --prefer throughput --top1 80
    """
    given = budget.given()
    batch, any_machine = given.pop("batch", None), given.pop("any_machine", False)
    table = read_table(source, precision)
    prefer = at_batch(given.pop("prefer", table.score), batch)
    limits = {at_batch(name, batch): value for name, value in given.items()}
    for name in (prefer, *limits):
        table = without_predictions(table, name) if measured else table
        if message := missing_column(table, name):
            raise TableError(message)
    wanted = None if precision == "any" else precision
    row = table[choose(table, prefer=prefer, precision=wanted, any_machine=any_machine, **limits)]
    origin = describe_profile(table.meta) if any(column(name).per_batch for name in (prefer, *limits)) else None
    if json:
        show_json({**row.to_dict(), **({"profile": table.meta[PROFILE]} if origin else {})})
        return
    show(f"{row.stitch}  (number {row.index} of {len(table)}, best {prefer} with {Budget(limits)})")
    show(row.describe(), *([origin] if origin else []))
