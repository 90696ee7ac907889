"""The budget of one stitch, as options of a command."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from snnet.cli.select import parse_limit
from snnet.cli.values import Amount


@Parameter(name="*")
@dataclass(frozen=True)
class BudgetOptions:
    """Limits on what a stitch costs and scores."""

    macs: Annotated[Amount, Parameter(help="Most multiply-adds, such as 3e9 or 3G.")] = None
    params: Annotated[Amount, Parameter(help="Most parameters, such as 30e6 or 30M.")] = None
    latency_ms: Annotated[Amount, Parameter(help="Largest median latency of a forward pass, in milliseconds.")] = None
    memory_mb: Annotated[Amount, Parameter(help="Most memory, of weights and features, in megabytes.")] = None
    energy_mj: Annotated[Amount, Parameter(help="Most energy of a forward pass, in millijoules.")] = None
    limit: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="Any other column as NAME=VALUE, such as top1=80; may be given several times."),
    ] = ()
    prefer: Annotated[
        str | None, Parameter(help="Column to be best in (top1): highest for top1, top5 and throughput, else lowest.")
    ] = None
    batch: Annotated[int | None, Parameter(help="Images at once; 32 if not given, and 1 for what was measured.")] = None
    any_machine: Annotated[
        bool | None, Parameter(negative="", help="Take latencies and the like whatever machine they are of.")
    ] = None

    def given(self) -> dict[str, Any]:
        """Return the options that the user set, as `net.select` takes them."""
        values = {name: value for name, value in asdict(self).items() if value not in (None, ())}
        values.update(map(parse_limit, values.pop("limit", ())))
        return values


NO_BUDGET = BudgetOptions()
